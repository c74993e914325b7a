package discovery

import (
	"cmp"
	"reflect"
	"slices"
)

// merge takes in what an observation says and reports whether anything is other than before. It
// never changes what i's slices hold: devices that were handed out share them.
func (i *Info) merge(s *Info) bool {
	before := *i
	i.mergeNames(s)
	i.mergeServices(s)
	i.VendorClass = cmp.Or(s.VendorClass, i.VendorClass)
	i.Fingerprint = cmp.Or(s.Fingerprint, i.Fingerprint)
	i.DHCPServer = i.DHCPServer || s.DHCPServer
	if s.Router != nil {
		i.Router = s.Router
	}
	if s.Switch != nil {
		i.Switch = s.Switch
	}
	if s.Beacon != nil {
		if i.Beacon != nil && i.Beacon.Rack == s.Beacon.Rack && i.Beacon.Interface == s.Beacon.Interface {
			before.Beacon = s.Beacon // another time is no news
		}
		i.Beacon = s.Beacon
	}
	return !reflect.DeepEqual(before, *i)
}

func (i *Info) mergeNames(s *Info) {
	if len(s.Names) == 0 && s.goodbye == 0 {
		return
	}
	// Names of other sources stay: each source takes back only its own.
	gone := s.flush | s.goodbye
	names := slices.DeleteFunc(slices.Clone(i.Names), func(n Name) bool { return gone.Has(n.Origin) })
	for _, n := range s.Names {
		if !slices.Contains(names, n) && len(names) < maxNames {
			names = append(names, n)
		}
	}
	slices.SortStableFunc(names, func(a, b Name) int { return cmp.Compare(a.rank(), b.rank()) })
	i.Names = names
}

func (i *Info) mergeServices(s *Info) {
	if len(s.Services) == 0 && len(s.ended) == 0 {
		return
	}
	all := slices.DeleteFunc(slices.Clone(i.Services), func(have Service) bool {
		same := func(o Service) bool { return o.Type == have.Type && o.Name == have.Name }
		return slices.ContainsFunc(s.ended, same) || slices.ContainsFunc(s.Services, same)
	})
	for _, o := range s.Services {
		if len(all) < maxServices {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b Service) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) })
	i.Services = all
}
