package redfish_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/redfish"
)

// switchOn has the service switched on with a boot from the network.
func switchOn(t *testing.T, s *service, target power.Target) {
	t.Helper()
	result, err := controller(t).Ensure(t.Context(), target, power.On, power.Options{Boot: power.Network})
	if err != nil || result.State != power.On || s.boot["BootSourceOverrideTarget"] != "Pxe" {
		t.Errorf("%+v, class %q, %v, boot %v", result, power.ClassOf(err), err, s.boot)
	}
	if n := s.open(); n != 0 {
		t.Errorf("%d sessions are still open", n)
	}
}

// Where there are no sessions, or no log-in is taken, basic authentication does. A wrong password is
// refused there, which is told and not tried again.
func TestWithoutSessions(t *testing.T) {
	root := func(more object) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			out := object{"Systems": link("/redfish/v1/Systems")}
			for k, v := range more {
				out[k] = v
			}
			send(w, out)
		}
	}
	for name, replaces := range map[string]map[string]http.HandlerFunc{
		"no links":              {"GET /redfish/v1": root(nil)},
		"links of another type": {"GET /redfish/v1": root(object{"Links": "none", "SessionService": 7})},
		"null links":            {"GET /redfish/v1": root(object{"Links": object{"Sessions": nil}, "SessionService": nil})},
		"service without links": {"GET /redfish/v1": root(object{"SessionService": link("/redfish/v1/SessionService/")})},
		"the root is protected": {"GET /redfish/v1": failing(401)},
		"refused with 400":      {"POST " + sessionsAt: failing(400)},
		"refused with 401":      {},
		"refused with 403":      {"POST " + sessionsAt: failing(403)},
		"refused with 404":      {"POST " + sessionsAt: failing(404)},
		"refused with 405":      {"POST " + sessionsAt: failing(405)},
		"refused with 500":      {"POST " + sessionsAt: failing(500)},
		"refused with 501":      {"POST " + sessionsAt: failing(501)},
		"no token":              {"POST " + sessionsAt: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{basicOnly: true, replaces: replaces}
			target := s.start(t)
			switchOn(t, s, target)
			target.Params["power_pass"] = "wrong"
			before := s.requests("")
			if _, err := controller(t).Query(t.Context(), target); power.ClassOf(err) != power.Auth {
				t.Errorf("wrong password: class %q, %v", power.ClassOf(err), err)
			}
			if n := s.requests("") - before; n > 4 {
				t.Errorf("%d requests with a wrong password, which lock accounts", n)
			}
		})
	}
}

// A BMC that starts or has no session left is asked again later, by the caller: basic
// authentication would not get further.
func TestLogInLater(t *testing.T) {
	for _, code := range []int{502, 503, 504, 429} {
		s := &service{replaces: map[string]http.HandlerFunc{"POST " + sessionsAt: failing(code)}}
		_, err := controller(t).Query(t.Context(), s.start(t))
		if power.ClassOf(err) != power.Connection || !strings.Contains(err.Error(), "the service's own words") {
			t.Errorf("%d: class %q, %v", code, power.ClassOf(err), err)
		}
	}
}

// A session is closed wherever the service says that it is.
func TestSessionIsClosed(t *testing.T) {
	for name, answer := range map[string]struct {
		location string // %s = the ID
		body     any
	}{
		"path":                         {sessionsAt + "/%s", object{}},
		"path with a slash":            {sessionsAt + "/%s/", nil},
		"URL":                          {"https://bmc.invalid" + sessionsAt + "/%s", object{}},
		"relative to the root":         {"SessionService/Sessions/%s", object{}},
		"relative to the service":      {"Sessions/%s", object{}},
		"the ID alone":                 {"%s", object{}},
		"without the first slash":      {"redfish/v1/SessionService/Sessions/%s", object{}},
		"body's @odata.id":             {"", object{"@odata.id": sessionsAt + "/%s"}},
		"body's @odata.id as a URL":    {"", object{"@odata.id": "http://10.0.0.1" + sessionsAt + "/%s/"}},
		"body's relative @odata.id":    {"", object{"@odata.id": "Sessions/%s"}},
		"body's Id":                    {"", object{"Id": "%s"}},
		"body of odd types, and Id":    {"", object{"@odata.id": 7, "Id": "%s", "Name": []int{1}}},
		"wrong Location, right body":   {sessionsAt, object{"@odata.id": sessionsAt + "/%s"}},
		"Location of another resource": {"/redfish/v1/Sessions/%s", object{"@odata.id": sessionsAt + "/%s"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{max: 1}
			n := 0
			s.replaces = map[string]http.HandlerFunc{"POST " + sessionsAt: func(w http.ResponseWriter, _ *http.Request) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.sessions) >= s.max {
					fail(w, http.StatusServiceUnavailable)
					return
				}
				n++
				id := fmt.Sprint("id", n)
				s.sessions[id] = true
				w.Header().Set("X-Auth-Token", id)
				if answer.location != "" {
					w.Header().Set("Location", strings.ReplaceAll(answer.location, "%s", id))
				}
				w.WriteHeader(http.StatusCreated)
				if body, ok := answer.body.(object); ok {
					filled := object{}
					for k, v := range body {
						if text, ok := v.(string); ok {
							v = strings.ReplaceAll(text, "%s", id)
						}
						filled[k] = v
					}
					send(w, filled)
				}
			}}
			target, c := s.start(t), controller(t)
			for i := range 3 {
				if _, err := c.Query(t.Context(), target); err != nil {
					t.Errorf("query %d: %v", i+1, err)
				}
			}
			if n := s.open(); n != 0 {
				t.Errorf("%d sessions are still open", n)
			}
		})
	}
}

// A session that cannot be closed uses up one of the few, so that is logged and in the transcript.
func TestFailedLogOutIsReported(t *testing.T) {
	for name, replaces := range map[string]func(s *service) (string, http.HandlerFunc){
		"refused": func(s *service) (string, http.HandlerFunc) { return "DELETE " + sessionsAt + "/s1", failing(500) },
		"unknown": func(s *service) (string, http.HandlerFunc) { return "DELETE " + sessionsAt + "/s1", failing(404) },
		"nowhere": func(s *service) (string, http.HandlerFunc) {
			return "POST " + sessionsAt, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Auth-Token", "s1") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			s.replaces = map[string]http.HandlerFunc{"POST " + sessionsAt: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Auth-Token", "s1")
				w.Header().Set("Location", sessionsAt+"/s1")
			}}
			key, handle := replaces(s)
			s.replaces[key] = handle
			target := s.start(t)
			s.sessions["s1"] = true
			var log, file bytes.Buffer
			c, err := power.NewController(power.Config{Registry: power.NewRegistry(redfish.Kind()), Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			var recorded power.Transcript
			if _, err := c.Query(power.WithTranscript(t.Context(), &recorded), target); err != nil {
				t.Errorf("the query itself: %v", err)
			}
			if !strings.Contains(log.String(), "session not closed") || !strings.Contains(log.String(), "machine=m1") {
				t.Errorf("the log is %q", log.String())
			}
			if _, err := recorded.WriteTo(&file); err != nil || !strings.Contains(file.String(), `"request":"DELETE `) && !strings.Contains(file.String(), "close the session") {
				t.Errorf("the transcript is %s, %v", file.String(), err)
			}
		})
	}
}

// Only the system that is meant is read. The others may be anything.
func TestOnlyTheSystemThatIsMeant(t *testing.T) {
	list := func(members ...any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { send(w, object{"Members": members}) }
	}
	for name, tt := range map[string]struct {
		members http.HandlerFunc
		node    string
		err     string // part of the error; empty = it works
		class   power.Class
	}{
		"named in the URI":          {list(link("/redfish/v1/Systems/HGX"), link(systemAt)), "1", "", ""},
		"with a slash":              {list(link("/redfish/v1/Systems/HGX"), link(systemAt+"/")), "1", "", ""},
		"by its URI":                {list(link("/redfish/v1/Systems/HGX"), link(systemAt)), systemAt, "", ""},
		"members as texts":          {list("/redfish/v1/Systems/HGX", systemAt), "1", "", ""},
		"members of odd types":      {list(7, nil, object{"@odata.id": 7}, link(systemAt)), "", "", ""},
		"the only one":              {list(link(systemAt)), "", "", ""},
		"one member and no array":   {func(w http.ResponseWriter, _ *http.Request) { send(w, object{"Members": link(systemAt)}) }, "", "", ""},
		"several, none named":       {list(link("/redfish/v1/Systems/HGX"), link(systemAt)), "", `one of ["HGX" "1"]`, power.Settings},
		"none":                      {list(), "", "has 0 systems", power.Settings},
		"absent":                    {list(link(systemAt)), "blade-2", `has no system "blade-2"; there are ["1"]`, power.Settings},
		"another's may be it":       {list(link("/redfish/v1/Systems/HGX"), link(systemAt)), "blade-2", "HTTP 503", power.Connection},
		"the list is no collection": {func(w http.ResponseWriter, _ *http.Request) { send(w, []int{1}) }, "1", "is not a JSON object", power.ActionFailed},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{replaces: map[string]http.HandlerFunc{"GET /redfish/v1/Systems": tt.members, "GET /redfish/v1/Systems/HGX": failing(503)}}
			target := s.start(t)
			if tt.node != "" {
				target.Params["node_id"] = tt.node
			}
			if tt.err == "" {
				switchOn(t, s, target)
				if n := s.requests("GET /redfish/v1/Systems/HGX"); n != 0 {
					t.Errorf("the other system was asked %d times", n)
				}
				return
			}
			if _, err := controller(t).Query(t.Context(), target); power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("class %q, %v", power.ClassOf(err), err)
			}
			if n := s.open(); n != 0 {
				t.Errorf("%d sessions are still open", n)
			}
		})
	}
}

// Where the URI does not hold the ID, systems are read until one has it, on all pages of the list.
func TestSystemByID(t *testing.T) {
	s := &service{system: object{"Id": "blade-7"}}
	s.replaces = map[string]http.HandlerFunc{
		"GET /redfish/v1/Systems": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "page=2" {
				send(w, object{"Members": []object{link(systemAt)}})
				return
			}
			send(w, object{"Members": []object{link("/redfish/v1/Systems/a"), link("/redfish/v1/Systems/b"), link("/redfish/v1/Systems/c")},
				"Members@odata.nextLink": "/redfish/v1/Systems?page=2"})
		},
		"GET /redfish/v1/Systems/a": failing(404),
		"GET /redfish/v1/Systems/b": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"GET /redfish/v1/Systems/c": func(w http.ResponseWriter, _ *http.Request) { send(w, object{"Id": object{}}) },
	}
	target := s.start(t)
	target.Params["node_id"] = "blade-7"
	switchOn(t, s, target)
}

// What power control does not need may have any type.
func TestOddTypes(t *testing.T) {
	odd := []any{nil, 1, -1.5, true, "text", "", []any{}, []any{1, "a", nil}, object{}, object{"a": object{"b": 1}}}
	for _, property := range []string{
		"Id", "Name", "UUID", "SKU", "AssetTag", "SerialNumber", "Status", "BootProgress", "MemorySummary", "ProcessorSummary", "HostingRoles", "PCIeDevices",
		"TrustedModules", "IndicatorLED", "LocationIndicatorActive", "Links", "PowerOnDelaySeconds", "@odata.etag", "@odata.id", "@odata.type", "@Redfish.Settings", "Oem",
		"Actions",
	} {
		t.Run(property, func(t *testing.T) {
			for _, value := range odd {
				s := &service{system: object{property: value}}
				switchOn(t, s, s.start(t))
			}
		})
	}
	t.Run("parts of the action", func(t *testing.T) {
		for _, value := range odd {
			s := &service{system: object{"Actions": object{"#ComputerSystem.Reset": object{
				"target": map[bool]any{true: resetAt, false: value}[value == "text"], "ResetType@Redfish.AllowableValues": value, "@Redfish.ActionInfo": value,
			}}}}
			if value == "text" || value == -1.5 || value == 1 {
				continue // those are a target and a reset type of the service's own
			}
			if list, ok := value.([]any); ok && len(list) > 0 {
				continue
			}
			switchOn(t, s, s.start(t))
		}
	})
	t.Run("no JSON", func(t *testing.T) {
		for _, text := range []string{"", "null", "[]", "7", `"On"`, "{", "<html>", `{"PowerState":"On"`} {
			s := &service{}
			s.replaces = map[string]http.HandlerFunc{"GET " + systemAt: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }}
			if _, err := controller(t).Query(t.Context(), s.start(t)); power.ClassOf(err) != power.ActionFailed {
				t.Errorf("%q: class %q, %v", text, power.ClassOf(err), err)
			}
		}
	})
	t.Run("power states", func(t *testing.T) {
		for value, want := range map[any]power.State{
			"On": power.On, "ON": power.On, "off": power.Off, "PoweringOn": power.Transitioning, "PoweringOff": power.Transitioning,
			nil: power.Unknown, 1: power.Unknown, true: power.Unknown, "Paused": power.Unknown, "": power.Unknown,
		} {
			s := &service{system: object{"PowerState": value}}
			if state, err := controller(t).Query(t.Context(), s.start(t)); state != want || err != nil {
				t.Errorf("%v: %s, %v; want %s", value, state, err, want)
			}
		}
	})
}

// Makes want different things of If-Match. Giving up the version ("*") is the last of them.
func TestIfMatch(t *testing.T) {
	for name, tt := range map[string]struct {
		accepts func(match string) int // 0 = accepted
		moving  bool                   // the ETag changes with every read
		none    bool                   // there is no ETag
		want    []string
	}{
		"anything":             {func(string) int { return 0 }, false, false, []string{`"1"`}},
		"no header":            {func(m string) int { return map[bool]int{true: 412}[m != ""] }, false, false, []string{`"1"`, ""}},
		"any version, after":   {func(m string) int { return map[bool]int{true: 412}[m != "*"] }, false, false, []string{`"1"`, "", "*"}},
		"428 without":          {func(m string) int { return map[bool]int{true: 428}[m == ""] }, false, true, []string{"", "*"}},
		"428, moving":          {func(m string) int { return map[bool]int{true: 428}[m != "*"] }, true, false, []string{`"1"`, `"2"`, "", "*"}},
		"the new version":      {func(m string) int { return map[bool]int{true: 412}[m != `"2"`] }, true, false, []string{`"1"`, `"2"`}},
		"nothing, to the end":  {func(string) int { return 412 }, false, false, []string{`"1"`, "", "*"}},
		"a refusal of another": {func(string) int { return 400 }, false, false, []string{`"1"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s, version := &service{}, 0
			s.replaces = map[string]http.HandlerFunc{
				"GET " + systemAt: func(w http.ResponseWriter, _ *http.Request) {
					if version == 0 || tt.moving {
						version++
					}
					if !tt.none {
						w.Header().Set("ETag", fmt.Sprintf(`"%d"`, version))
					}
					send(w, s.state())
				},
				"POST " + resetAt: func(w http.ResponseWriter, r *http.Request) {
					if code := tt.accepts(r.Header.Get("If-Match")); code != 0 {
						fail(w, code)
						return
					}
					s.reset(w, r)
				},
			}
			d := openDriver(t, s.start(t))
			err := d.SetPower(t.Context(), power.On)
			if !slices.Equal(s.matches, tt.want) || (err == nil) != s.on {
				t.Errorf("If-Match was %q, want %q; %v", s.matches, tt.want, err)
			}
		})
	}
}

func openDriver(t *testing.T, target power.Target) power.Driver {
	t.Helper()
	kind := redfish.Kind()
	params, err := kind.Check(target.Params)
	if err != nil {
		t.Fatal(err)
	}
	d, err := kind.Open(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.(power.Closer).Close(t.Context()); err != nil {
			t.Log(err)
		}
	})
	return d
}

// A sensor that cannot be read is left out, and costs no other.
func TestSensorsAreLeftOut(t *testing.T) {
	s := &service{system: object{"Links": object{"Chassis": []any{link("/redfish/v1/Chassis/gone"), 7, link("/redfish/v1/Chassis/new"), link("/redfish/v1/Chassis/old")}}}}
	answers := func(v any) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { send(w, v) } }
	s.replaces = map[string]http.HandlerFunc{
		"GET /redfish/v1/Chassis/gone":          failing(503),
		"GET /redfish/v1/Chassis/new":           answers(object{"Sensors": link("/redfish/v1/Chassis/new/Sensors"), "PCIeSlots": 7}),
		"GET /redfish/v1/Chassis/new/Sensors":   answers(object{"Members": []any{link("/s/1"), link("/s/2"), link("/s/3"), link("/s/4"), link("/s/5"), link("/s/6")}}),
		"GET /s/1":                              answers(object{"Name": "A", "Reading": 1.5, "ReadingUnits": "Cel", "Status": object{"Health": "OK"}}),
		"GET /s/2":                              failing(404),
		"GET /s/3":                              answers(object{"Name": "N", "Reading": nil}),
		"GET /s/4":                              answers([]int{1}),
		"GET /s/5":                              answers(object{"Name": "B", "Reading": "7.25", "ReadingUnits": 3, "Status": "OK"}),
		"GET /s/6":                              answers(object{"Name": "N", "Reading": "N/A"}),
		"GET /redfish/v1/Chassis/old":           answers(object{"Sensors": object{}, "Thermal": link("/redfish/v1/Chassis/old/Thermal"), "Power": link("/p")}),
		"GET /redfish/v1/Chassis/old/Thermal":   answers(object{"Fans": []any{object{"FanName": "F", "Reading": 40, "ReadingUnits": "Percent"}, "broken"}, "Temperatures": "hot"}),
		"GET /p":                                failing(500),
		"GET /redfish/v1/Chassis/empty":         answers(object{"Name": 7}),
		"GET /redfish/v1/Chassis/empty/Thermal": failing(500),
	}
	target := s.start(t)
	want := []power.Sensor{
		{Name: "A", Value: 1.5, Unit: "degrees C", Health: power.HealthOK}, {Name: "B", Value: 7.25, Unit: "3"}, {Name: "F", Value: 40, Unit: "%"},
	}
	if got, err := controller(t).Sensors(t.Context(), target); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		chassis any
		class   power.Class
	}{
		"one that fails": {[]object{link("/redfish/v1/Chassis/gone")}, power.Connection},
		"without any":    {link("/redfish/v1/Chassis/empty"), ""},
		"no chassis":     {"none", ""},
	} {
		s.system["Links"] = object{"Chassis": tt.chassis}
		if got, err := controller(t).Sensors(t.Context(), target); len(got) != 0 || power.ClassOf(err) != tt.class {
			t.Errorf("%s: %+v, class %q, %v", name, got, power.ClassOf(err), err)
		}
	}
}

// The path of the service may be written with the address, and a proxy's before it.
func TestAddresses(t *testing.T) {
	s := &service{}
	target := s.start(t)
	plain := target.Params["power_address"]
	for _, text := range []string{plain, plain + "/", plain + "/redfish", plain + "/redfish/v1", plain + "/redfish/v1/"} {
		target.Params["power_address"] = text
		if _, err := controller(t).Query(t.Context(), target); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	target.Params["power_address"] = plain + "/redfish/v1/Systems/1"
	if _, err := controller(t).Query(t.Context(), target); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "node_id") {
		t.Errorf("with the path of a system: %v", err)
	}
	behind := &service{prefix: "/bmc/7"}
	switchOn(t, behind, behind.start(t))
	moved := &service{replaces: map[string]http.HandlerFunc{"GET /redfish/v1": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://bmc.invalid/redfish/v1/", http.StatusMovedPermanently)
	}}}
	if _, err := controller(t).Query(t.Context(), moved.start(t)); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "https://bmc.invalid") {
		t.Errorf("a redirect: %v", err)
	}
}
