package amt

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Names of WS-Management (DSP0226) and of the classes of AMT.
const (
	schemaCIM     = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	actionGet     = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
	addressing    = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	management    = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	soapEnvelope  = "http://www.w3.org/2003/05/soap-envelope"
	anonymousRole = addressing + "/role/anonymous"
)

// An instance is one object of a class.
type instance struct {
	class     string
	selectors [][2]string // names and values
}

// selectorSet is the XML that chooses an instance.
func (i instance) selectorSet() string {
	if len(i.selectors) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<w:SelectorSet>")
	for _, s := range i.selectors {
		fmt.Fprintf(&b, `<w:Selector Name="%s">%s</w:Selector>`, escape(s[0]), escape(s[1]))
	}
	b.WriteString("</w:SelectorSet>")
	return b.String()
}

// reference is the XML by which a message names an instance.
func (i instance) reference(element string) string {
	return fmt.Sprintf(`<p:%[1]s><a:Address>%[2]s</a:Address><a:ReferenceParameters><w:ResourceURI>%[3]s</w:ResourceURI>%[4]s</a:ReferenceParameters></p:%[1]s>`,
		element, anonymousRole, schemaCIM+i.class, i.selectorSet())
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes all
	return b.String()
}

// answer holds what any of the answers may have.
type answer struct {
	PowerState  string `xml:"Body>CIM_AssociatedPowerManagementService>PowerState"`
	PowerReturn string `xml:"Body>RequestPowerStateChange_OUTPUT>ReturnValue"`
	OrderReturn string `xml:"Body>ChangeBootOrder_OUTPUT>ReturnValue"`
	RoleReturn  string `xml:"Body>SetBootConfigRole_OUTPUT>ReturnValue"`
	Fault       string `xml:"Body>Fault>Reason>Text"`
	XMLName     xml.Name
}

// send sends a message about an instance. body is XML.
func (d *driver) send(ctx context.Context, op, action string, to instance, body string) (answer, error) {
	message := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>`+
		`<s:Envelope xmlns:s="%s" xmlns:a="%s" xmlns:w="%s"><s:Header><a:Action>%s</a:Action><a:To>/wsman</a:To>`+
		`<w:ResourceURI>%s</w:ResourceURI><a:MessageID>%s</a:MessageID><a:ReplyTo><a:Address>%s</a:Address></a:ReplyTo>`+
		`<w:OperationTimeout>PT60S</w:OperationTimeout>%s</s:Header><s:Body>%s</s:Body></s:Envelope>`,
		soapEnvelope, addressing, management, action, schemaCIM+to.class, d.messageID(), anonymousRole, to.selectorSet(), body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(message))
	if err != nil {
		return answer{}, power.Errorf(power.Settings, op, "%s is not the address of a service", paramAddress)
	}
	req.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	code, text, err := bmchttp.Ask(d.http, op, req)
	if err != nil {
		return answer{}, err
	}
	var a answer
	foreign := xml.Unmarshal(text, &a) != nil || a.XMLName.Space != soapEnvelope
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return a, bmchttp.Status(op, code, "")
	case foreign:
		return a, power.Errorf(power.Settings, op, "HTTP %d and no answer of AMT; see the host of %s, and %s", code, paramAddress, paramPort)
	}
	return a, bmchttp.Status(op, code, strings.TrimSpace(a.Fault))
}

// messageID returns the number of a message in this dialog: a playback of a transcript compares
// messages, so that nothing in them is random.
func (d *driver) messageID() string {
	d.messages++
	return strconv.Itoa(d.messages)
}

// invoke calls a method and returns its value, "0" for success.
func (d *driver) invoke(ctx context.Context, op, method string, to instance, input string) (answer, error) {
	uri := schemaCIM + to.class
	return d.send(ctx, op, uri+"/"+method, to, fmt.Sprintf(`<p:%[1]s_INPUT xmlns:p="%[2]s">%[3]s</p:%[1]s_INPUT>`, method, uri, input))
}
