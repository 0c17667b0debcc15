package handle

// Fault is what is wrong with a handle. Its text is the end of a sentence about the handle, and contains nothing of the
// handle itself.
type Fault string

// The faults. What at least one client accepts is not a fault, even if others do not accept it.
const (
	Good       Fault = ""
	Empty      Fault = "is empty"
	NotURL     Fault = "is no URL, nor another form that clients of the type take"
	Foreign    Fault = "has the scheme of another type"
	NoHost     Fault = "names no host"
	BadHost    Fault = "has no valid host: a name of letters, digits and '-', or an address (of IPv6 in brackets)"
	BadPort    Fault = "has a port that is not between 1 and 65535"
	NotEncoded Fault = "has an @ after its host: percent-encode / ? # @ % and spaces in the user, the password and the path"

	// elsewhere is for a handle that leads to no server that could be tried from here. That is not a fault.
	elsewhere Fault = "names no server that could be tried"
)
