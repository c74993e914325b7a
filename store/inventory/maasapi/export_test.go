package maasapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// RouteTable returns the routes as rows of ENDPOINTS.md, in the layout of MAAS.
func (a *API) RouteTable() string {
	var b strings.Builder
	b.WriteString("| method | path | op= and query | writes |\n|---|---|---|---|\n")
	for _, x := range a.table {
		var params []string
		for _, op := range x.ops {
			params = append(params, "`"+op+"`")
		}
		for _, name := range x.query {
			params = append(params, "`?"+name+"=`")
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", x.method, a.at(x.path), strings.Join(params, ", "), x.writers())
	}
	return b.String()
}

// Route describes a route.
type Route struct {
	Method, Path string
	Public       bool
}

// Routes returns all routes, with something in the places of the variables of their paths.
func (a *API) Routes() (out []Route) {
	for _, x := range a.table {
		out = append(out, Route{x.method, strings.NewReplacer("{", "", "}", "").Replace(a.at(x.path)), x.public})
	}
	return out
}

// Mux returns the router without the check of keys.
func (a *API) Mux() http.Handler { return a.mux() }

// FormRoutes returns the endpoints that read a form, as "POST path/" or "POST path/?op=name".
func (a *API) FormRoutes() (out []string) {
	for _, x := range a.table {
		if x.method != "POST" && x.method != "PUT" || x.body != nil {
			continue
		}
		if len(x.ops) == 0 || x.path == "machines/" {
			out = append(out, x.method+" "+x.path)
		}
		for _, op := range x.ops {
			out = append(out, x.method+" "+x.path+"?op="+op)
		}
	}
	return out
}

// writers names the roles that may use a route that changes something.
func (x route) writers() string {
	switch {
	case x.method == "GET":
		return ""
	case x.everyone:
		return "everyone"
	case slices.Contains(x.operators, "") || len(x.operators) > 0 && len(x.operators) == len(x.ops):
		return "operators"
	case len(x.operators) > 0:
		return "operators: " + strings.Join(x.operators, ", ")
	}
	return "administrators"
}

// PowerField lets tests decode an answer.
type PowerField = powerFieldJSON

// Interface lets tests decode an answer.
type Interface = interfaceJSON

// TSIGKey lets tests decode an answer.
type TSIGKey = tsigKeyJSON

// Token lets tests decode an answer.
type Token = tokenJSON

// Operation is one thing that a route does: Op is "" or "?op=name".
type Operation struct{ Method, Path, Op string }

// Operations returns what all routes do.
func (a *API) Operations() (out []Operation) {
	for _, x := range a.table {
		out = append(out, Operation{x.method, a.at(x.path), ""})
		for _, op := range x.ops {
			out = append(out, Operation{x.method, a.at(x.path), "?op=" + op})
		}
	}
	return out
}
