-- The health of a Binding, for Argo CD:
--   Degraded     nothing will change without a person (Stalled): a conflict, a swap that was rolled back, …
--   Suspended    the app's owner holds the rollout: it is paused, partitioned, or replaces no Pod by itself
--   Healthy      every Pod of the app has the handle, and has stayed available
--   Progressing  everything else: Bindery will go on by itself
local held = {RolloutPaused = true, RolloutPartitioned = true, RolloutOnDelete = true}

-- A condition about an earlier generation says nothing about what was synced.
local function find(name)
  for _, condition in ipairs(obj.status and obj.status.conditions or {}) do
    if condition.type == name and condition.observedGeneration == obj.metadata.generation then
      return condition
    end
  end
  return {}
end

local ready, stalled = find("Ready"), find("Stalled")
if stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. stalled.message}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if ready.status == nil then
  return {status = "Progressing", message = "Bindery has not looked at this generation yet"}
end
if held[ready.reason] then
  return {status = "Suspended", message = ready.reason .. ": " .. ready.message}
end
return {status = "Progressing", message = ready.reason .. ": " .. ready.message}
