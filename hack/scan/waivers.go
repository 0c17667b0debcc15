package main

// waiver accepts what a check finds.
type waiver struct {
	check  string
	reason string
}

var waivers = []waiver{}

func waiverOf(f finding) *waiver {
	for i := range waivers {
		if waivers[i].check == f.check {
			return &waivers[i]
		}
	}
	return nil
}
