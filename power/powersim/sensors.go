package powersim

import (
	"net/http"
	"strconv"
)

// The chassis that the simulated system is in.
const (
	chassisPath = root + "/Chassis/1"
	sensorsPath = chassisPath + "/Sensors"
)

// handleSensors adds the chassis and what it measures.
func (r *redfishBMC) handleSensors(mux *http.ServeMux) {
	chassis := object{"@odata.id": r.uri(chassisPath), "@odata.type": "#Chassis.v1_20_0.Chassis", "Id": "1", "Name": "Chassis", "ChassisType": "RackMount"}
	if r.SensorCollection {
		chassis["Sensors"] = r.link(sensorsPath)
		mux.HandleFunc("GET "+sensorsPath, r.authorized(r.sensors))
		mux.HandleFunc("GET "+sensorsPath+"/{id}", r.authorized(r.sensor))
	} else {
		chassis["Thermal"], chassis["Power"] = r.link(chassisPath+"/Thermal"), r.link(chassisPath+"/Power")
		mux.HandleFunc("GET "+chassisPath+"/Thermal", r.authorized(r.thermal))
		mux.HandleFunc("GET "+chassisPath+"/Power", r.authorized(r.power))
	}
	mux.HandleFunc("GET "+chassisPath, r.authorized(func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, chassis) }))
}

func (r *redfishBMC) sensors(w http.ResponseWriter, _ *http.Request) {
	members := []object{}
	for i := range r.chassis.Sensors {
		members = append(members, r.link(sensorsPath+"/"+strconv.Itoa(i)))
	}
	reply(w, http.StatusOK, object{"@odata.id": r.uri(sensorsPath), "Name": "Sensors", "Members@odata.count": len(members), "Members": members})
}

// healthNames are the healths as Redfish writes them.
var healthNames = map[string]string{"ok": "OK", "warning": "Warning", "critical": "Critical"}

func (r *redfishBMC) sensor(w http.ResponseWriter, req *http.Request) {
	i, err := strconv.Atoi(req.PathValue("id"))
	if err != nil || i < 0 || i >= len(r.chassis.Sensors) {
		fail(w, http.StatusNotFound, "Base.1.0.ResourceMissingAtURI", "There is no such sensor.")
		return
	}
	s := r.chassis.Sensors[i]
	unit := map[string]string{"degrees C": "Cel", "RPM": "{rev}/min"}[s.Unit]
	if unit == "" {
		unit = s.Unit
	}
	reply(w, http.StatusOK, object{
		"@odata.id": r.uri(req.URL.Path), "@odata.type": "#Sensor.v1_7_0.Sensor", "Id": req.PathValue("id"), "Name": s.Name,
		"Reading": s.Value, "ReadingUnits": unit, "Status": object{"Health": healthNames[s.Health], "State": "Enabled"},
	})
}

// readings are the sensors of some units, each made into an object by its field for the value.
func (r *redfishBMC) readings(field string, units ...string) []object {
	out := []object{}
	for i, s := range r.chassis.Sensors {
		for _, unit := range units {
			if s.Unit == unit {
				o := object{"MemberId": strconv.Itoa(i), "Name": s.Name, field: s.Value, "Status": object{"Health": healthNames[s.Health], "State": "Enabled"}}
				if field == "Reading" {
					o["ReadingUnits"] = map[string]string{"RPM": "RPM", "%": "Percent"}[unit]
				}
				out = append(out, o)
			}
		}
	}
	return out
}

func (r *redfishBMC) thermal(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{
		"@odata.id": r.uri(chassisPath + "/Thermal"), "@odata.type": "#Thermal.v1_7_0.Thermal", "Id": "Thermal", "Name": "Thermal",
		"Temperatures": r.readings("ReadingCelsius", "degrees C"), "Fans": r.readings("Reading", "RPM", "%"),
	})
}

func (r *redfishBMC) power(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{
		"@odata.id": r.uri(chassisPath + "/Power"), "@odata.type": "#Power.v1_7_0.Power", "Id": "Power", "Name": "Power",
		"Voltages": r.readings("ReadingVolts", "V"), "PowerControl": r.readings("PowerConsumedWatts", "W"),
	})
}

// addIndicator adds the light to the system.
func (r *redfishBMC) addIndicator(system object) {
	on := r.chassis.Light()
	if r.SensorCollection {
		system["LocationIndicatorActive"] = on
		return
	}
	system["IndicatorLED"] = "Off"
	if on {
		system["IndicatorLED"] = "Blinking"
	}
}

// setLight switches it. r.mu is held.
func (r *redfishBMC) setLight(w http.ResponseWriter, led string, active *bool) {
	switch {
	case r.SensorCollection && active != nil:
		r.chassis.SetLight(*active)
	case !r.SensorCollection && led != "":
		r.chassis.SetLight(led != "Off")
	default:
		fail(w, http.StatusBadRequest, "Base.1.0.PropertyUnknown", "There is no such property.")
		return
	}
	r.version++
	w.WriteHeader(http.StatusNoContent)
}
