package bmcserve

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
)

// mediaPatience is the time in which a failure to insert an image is still the answer: BMCs open
// the image first, and a client that got no error does not look later.
const mediaPatience = 45 * time.Second

// hasMedia reports whether a machine has virtual media.
func (s *Server) hasMedia(m *machine) bool {
	p, ok := s.cfg.Power.(MediaPower)
	return ok && p.HasMedia(m.name)
}

// handleMedia serves the virtual CD drive of machines that have one, below their system, as the
// schema has it since release 2020.4, and below their manager, where sushy and older clients look.
func (s *Server) handleMedia(mux *http.ServeMux) {
	mux.HandleFunc("GET "+managersPath, s.authorized(func(w http.ResponseWriter, _ *http.Request, c client) {
		answer(w, http.StatusOK, collection(managersPath, "ManagerCollection", s.members(managersPath, c)))
	}))
	mux.HandleFunc("GET "+managersPath+"/{machine}", s.authorized(s.system(s.showManager)))
	for _, at := range []string{systemsPath, managersPath} {
		drives := at + "/{machine}/VirtualMedia"
		for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request, client, *machine){
			"GET " + drives: func(w http.ResponseWriter, _ *http.Request, _ client, m *machine) {
				path := at + "/" + m.name + "/VirtualMedia"
				answer(w, http.StatusOK, collection(path, "VirtualMediaCollection", []object{link(path + "/CD")}))
			},
			"GET " + drives + "/CD": func(w http.ResponseWriter, r *http.Request, _ client, m *machine) {
				s.showDrive(w, r, m, at+"/"+m.name+"/VirtualMedia/CD")
			},
			"POST " + drives + "/CD/Actions/VirtualMedia.InsertMedia": s.insertMedia,
			"POST " + drives + "/CD/Actions/VirtualMedia.EjectMedia":  s.ejectMedia,
		} {
			mux.HandleFunc(pattern, s.authorized(s.system(func(w http.ResponseWriter, r *http.Request, c client, m *machine) {
				if !s.hasMedia(m) {
					refuse(w, http.StatusNotFound, "ResourceMissingAtURI", "The system has no virtual media.")
					return
				}
				handle(w, r, c, m)
			})))
		}
	}
}

// showManager shows the controller of a machine, which each has for itself.
func (s *Server) showManager(w http.ResponseWriter, _ *http.Request, _ client, m *machine) {
	path := managersPath + "/" + m.name
	out := object{
		"@odata.id": path, "@odata.type": "#Manager.v1_17_0.Manager", "Id": m.name, "Name": m.name, "ManagerType": "BMC",
		"UUID": uuid("manager of " + m.name), "Status": object{"State": "Enabled", "Health": "OK"},
		"Links": object{"ManagerForServers": []object{link(systemsPath + "/" + m.name)}},
	}
	if s.hasMedia(m) {
		out["VirtualMedia"] = link(path + "/VirtualMedia")
	}
	answer(w, http.StatusOK, out)
}

func (s *Server) showDrive(w http.ResponseWriter, r *http.Request, m *machine, path string) {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	result, err := s.cfg.Power.Do(ctx, m.name, power.ActionMedia, power.Options{})
	if err != nil {
		refuse(w, statusOf(err), "GeneralError", err.Error())
		return
	}
	out := object{
		"@odata.id": path, "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia", "Id": "CD", "Name": "Virtual CD drive", "MediaTypes": []string{"CD", "DVD"},
		"Inserted": false, "Image": nil, "ImageName": nil, "ConnectedVia": "NotConnected", "WriteProtected": true,
		"Actions": object{
			"#VirtualMedia.InsertMedia": object{"target": path + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia":  object{"target": path + "/Actions/VirtualMedia.EjectMedia"},
		},
	}
	if result.Media != "" {
		out["Inserted"], out["Image"], out["ConnectedVia"] = true, result.Media, "URI"
		out["ImageName"] = result.Media[strings.LastIndexByte(result.Media, '/')+1:]
	}
	answer(w, http.StatusOK, out)
}

func (s *Server) insertMedia(w http.ResponseWriter, r *http.Request, c client, m *machine) {
	var in struct {
		Image          string
		Inserted       *bool
		WriteProtected *bool
	}
	switch err := readJSON(w, r, &in); {
	case err != nil:
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The body is no JSON with Image.")
	case in.Image == "":
		refuse(w, http.StatusBadRequest, "ActionParameterMissing", "Image is missing.")
	case in.Inserted != nil && !*in.Inserted || in.WriteProtected != nil && !*in.WriteProtected:
		refuse(w, http.StatusBadRequest, "ActionParameterNotSupported", "Images are inserted at once, and are not written to.")
	default:
		s.answerMedia(w, s.switchTo(c, m, power.ActionInsert, in.Image, mediaPatience))
	}
}

func (s *Server) ejectMedia(w http.ResponseWriter, _ *http.Request, c client, m *machine) {
	s.answerMedia(w, s.switchTo(c, m, power.ActionEject, "", mediaPatience))
}

// answerMedia answers a change of the drive. What is wrong with an image is the client's to mend.
func (s *Server) answerMedia(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusConflict, "ResourceInUse", err.Error())
	case power.ClassOf(err) == power.Settings:
		refuse(w, http.StatusBadRequest, "ActionParameterValueFormatError", err.Error())
	case err != nil:
		refuse(w, statusOf(err), "GeneralError", err.Error())
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// withoutQuery is an image for the audit: queries of URLs hold signatures that let their readers
// in.
func withoutQuery(image string) string {
	image, _, _ = strings.Cut(image, "?")
	return image
}
