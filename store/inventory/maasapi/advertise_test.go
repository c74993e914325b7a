package maasapi_test

import (
	"net/url"
	"testing"
)

func TestRouterAdvertisementsSetting(t *testing.T) {
	s := newSite(t)
	form := url.Values{"name": {"router_advertisements"}, "value": {"all"}}
	if code, body := s.do("POST", base+"maas/?op=set_config", form); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := s.do("GET", base+"maas/?op=get_config&name=router_advertisements", nil); code != 200 || body != `"all"` {
		t.Errorf("%d %s", code, body)
	}
	form.Set("value", "eth0")
	if code, _ := s.do("POST", base+"maas/?op=set_config", form); code != 400 {
		t.Errorf("a link is no subnet, but %d", code)
	}
}
