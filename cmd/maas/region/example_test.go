package region_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
)

// A region's API on a mux of one's own, below a path of one's own.
func Example() {
	dir, err := os.MkdirTemp("", "region")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	site, err := region.Open(context.Background(), region.Config{Dir: dir, Base: "/lab", Kinds: power.NewRegistry(power.Manual())})
	if err != nil {
		panic(err)
	}
	defer site.Close()
	mux := http.NewServeMux()
	mux.Handle("/lab/", site.Handler())

	for _, path := range []string{"/lab/api/2.0/version/", "/lab/api/2.0/subnets/", "/MAAS/api/2.0/version/"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code)
	}
	// Output:
	// /lab/api/2.0/version/ 200
	// /lab/api/2.0/subnets/ 401
	// /MAAS/api/2.0/version/ 404
}
