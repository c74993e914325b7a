package cli

import "slices"

// Groups of the form fields that several resources have.
var described = []string{"name", "description"}

// resources returns the kinds of objects that have commands of their own, in the order of the help.
func resources() []*resource {
	return slices.Concat(networkResources(), addressResources(), groupResources(), dnsResources(), nodeResources(), siteResources())
}

// resourceNamed returns the resource of a command.
func resourceNamed(name string) *resource {
	for _, r := range resources() {
		if r.name == name {
			return r
		}
	}
	return nil
}
