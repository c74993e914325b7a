package powersim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Media describes where a make has its virtual media, and how images are inserted. The zero Media
// is below the system, with actions that take the image alone.
type Media struct {
	// None has no virtual media.
	None bool
	// Manager has them below the manager, not the system.
	Manager bool
	// Patch changes the drive, in the place of actions.
	Patch bool
	// Protocol refuses InsertMedia without TransferProtocolType.
	Protocol bool
	// Body refuses EjectMedia without a body.
	Body bool
}

const managerPath = root + "/Managers/1"

// mediaPath is the collection of drives. The first one takes USB sticks, the second CDs.
func (r *redfishBMC) mediaPath() string {
	if r.Media.Manager {
		return managerPath + "/VirtualMedia"
	}
	return r.systemPath() + "/VirtualMedia"
}

func (r *redfishBMC) handleMedia(mux *http.ServeMux) {
	mux.HandleFunc("GET "+root+"/Managers", r.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"@odata.id": r.uri(root + "/Managers"), "Name": "Managers", "Members": []object{r.link(managerPath)}})
	}))
	mux.HandleFunc("GET "+managerPath, r.authorized(func(w http.ResponseWriter, _ *http.Request) {
		out := object{
			"@odata.id": r.uri(managerPath), "@odata.type": "#Manager.v1_17_0.Manager", "Id": "1", "Name": "BMC",
			"Links": object{"ManagerForServers": []object{r.link(r.systemPath())}},
		}
		if r.Media.Manager {
			out["VirtualMedia"] = r.link(r.mediaPath())
		}
		reply(w, http.StatusOK, out)
	}))
	if r.Media.None {
		return
	}
	path := r.mediaPath()
	mux.HandleFunc("GET "+path, r.authorized(func(w http.ResponseWriter, _ *http.Request) {
		members := []object{r.link(path + "/1"), r.link(path + "/2")}
		reply(w, http.StatusOK, object{"@odata.id": r.uri(path), "Name": "Virtual media", "Members": members, "Members@odata.count": len(members)})
	}))
	mux.HandleFunc("GET "+path+"/{id}", r.authorized(r.drive))
	if r.Media.Patch {
		mux.HandleFunc("PATCH "+path+"/2", r.authorized(r.patchDrive))
		return
	}
	mux.HandleFunc("POST "+path+"/2/Actions/VirtualMedia.InsertMedia", r.authorized(r.insert))
	mux.HandleFunc("POST "+path+"/2/Actions/VirtualMedia.EjectMedia", r.authorized(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength == 0 && r.Media.Body {
			fail(w, http.StatusUnsupportedMediaType, "Base.1.0.GeneralError", "The action needs a body.")
			return
		}
		r.chassis.SetMedia("")
		w.WriteHeader(http.StatusNoContent)
	}))
}

func (r *redfishBMC) drive(w http.ResponseWriter, req *http.Request) {
	path := r.mediaPath() + "/" + req.PathValue("id")
	out := object{
		"@odata.id": r.uri(path), "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia", "Id": req.PathValue("id"), "Name": "Drive",
		"MediaTypes": []string{"USBStick"}, "Inserted": false, "Image": nil, "ConnectedVia": "NotConnected",
	}
	if req.PathValue("id") == "2" {
		out["MediaTypes"] = []string{"CD", "DVD"}
		if image := r.chassis.Media(); image != "" {
			out["Inserted"], out["Image"], out["ConnectedVia"] = true, image, "URI"
		}
		if !r.Media.Patch {
			out["Actions"] = object{
				"#VirtualMedia.InsertMedia": object{"target": r.uri(path + "/Actions/VirtualMedia.InsertMedia")},
				"#VirtualMedia.EjectMedia":  object{"target": r.uri(path + "/Actions/VirtualMedia.EjectMedia")},
			}
		}
	}
	reply(w, http.StatusOK, out)
}

func (r *redfishBMC) insert(w http.ResponseWriter, req *http.Request) {
	var in struct{ Image, TransferProtocolType string }
	switch err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in); {
	case err != nil || !strings.Contains(in.Image, "://"):
		fail(w, http.StatusBadRequest, "Base.1.0.ActionParameterMissing", "Image is missing.")
	case r.Media.Protocol && in.TransferProtocolType == "":
		fail(w, http.StatusBadRequest, "Base.1.0.ActionParameterMissing", "TransferProtocolType is missing.")
	case r.chassis.Media() != "":
		fail(w, http.StatusConflict, "Base.1.0.ResourceInUse", "The drive has an image.")
	default:
		r.chassis.SetMedia(in.Image)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *redfishBMC) patchDrive(w http.ResponseWriter, req *http.Request) {
	var in struct {
		Image    *string
		Inserted bool
	}
	switch err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in); {
	case err != nil:
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
	case in.Inserted && in.Image == nil:
		fail(w, http.StatusBadRequest, "Base.1.0.PropertyMissing", "Image is missing.")
	case !in.Inserted:
		r.chassis.SetMedia("")
		w.WriteHeader(http.StatusNoContent)
	default:
		r.chassis.SetMedia(*in.Image)
		w.WriteHeader(http.StatusNoContent)
	}
}
