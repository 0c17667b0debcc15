-- The health of a BackingService, for Argo CD:
--   Degraded     nothing will change without a person (Stalled): credentials that are refused, a name that is taken, …
--   Healthy      apps can be moved to it: it is Ready, and its handle was verified, or is not to be
--   Progressing  everything else: Bindery will go on by itself

-- A condition about an earlier generation says nothing about what was synced.
local function find(name)
  for _, condition in ipairs(obj.status and obj.status.conditions or {}) do
    if condition.type == name and condition.observedGeneration == obj.metadata.generation then
      return condition
    end
  end
  return {}
end

local ready, verified, stalled = find("Ready"), find("Verified"), find("Stalled")
if stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. stalled.message}
end
if ready.status == nil then
  return {status = "Progressing", message = "Bindery has not looked at this generation yet"}
end
if ready.status ~= "True" then
  return {status = "Progressing", message = ready.reason .. ": " .. ready.message}
end
-- Unknown: every Binding of it has spec.swap.verify: Never.
if verified.status ~= "True" and verified.status ~= "Unknown" then
  return {status = "Progressing", message = (verified.reason or "Verifying") .. ": " .. (verified.message or "the handle was not tried yet")}
end
return {status = "Healthy", message = ready.message}
