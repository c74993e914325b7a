package boottest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
	bootloaders "github.com/gomaas/maas/pxe/loaders"
)

// signedLoaders are chains of two authorities, whose programs hold the authority's name.
func signedLoaders() (fstest.MapFS, *bootloaders.Trials) {
	files, chains := fstest.MapFS{}, []bootloaders.Chain{}
	for _, ca := range []string{"2011", "2023"} {
		for _, c := range []struct {
			name, next string
			language   firmware.Language
		}{{"shimx64.efi", "grubx64.efi", firmware.GRUB}, {"snponly-shimx64.efi", "snponly.efi", firmware.IPXE}} {
			dir := ca + "/"
			files[dir+c.name] = &fstest.MapFile{Data: []byte(strings.Repeat(ca+" signed this. ", 500))}
			files[dir+c.next] = &fstest.MapFile{Data: []byte(strings.Repeat("vendor signed this. ", 500))}
			chains = append(chains, bootloaders.Chain{Path: dir + c.name, Next: dir + c.next, Language: c.language, Program: bootloaders.Program{
				Arch: "amd64", Size: 1, Signatures: []bootloaders.Signature{{Issuer: "Microsoft UEFI CA " + ca}}}})
		}
	}
	trials := new(bootloaders.Trials)
	trials.SetChains(chains)
	return files, trials
}

// Firmware that trusts one authority boots by the chain that it signed: at the second try if it is
// the other one's turn at first, and at once from then on. Refusals are in the timeline.
func TestSecureBoot(t *testing.T) {
	for _, trusted := range []string{"2011", "2023"} {
		for _, fw := range []boottest.Firmware{boottest.UEFIShimGRUB, boottest.UEFIHTTP} {
			for _, six := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,%s,ipv6=%t", trusted, fw.Name, six), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						files, trials := signedLoaders()
						change := func(s *boottest.Segment, c *pxe.Config) {
							s.Delay = time.Millisecond // so that one request ends before the next begins
							c.Loaders, c.Beside = files, trials.Handed
						}
						runOn(t, network{six: six, trials: trials}, change, func(s *site) {
							m := s.segment.NewMachine(boottest.MachineConfig{Firmware: fw, Refuse: func(program []byte) bool {
								return !strings.Contains(string(program), trusted+" signed") && !strings.Contains(string(program), "vendor signed")
							}})
							var programs []string
							for try := range 3 {
								r, err := m.Boot(t.Context())
								if refused := try == 0 && trusted == "2023"; (err != nil) != refused {
									t.Errorf("try %d: %v\n%s", try, err, strings.Join(fetches(r), "\n"))
									return
								}
								if err != nil {
									time.Sleep(time.Minute)
									checkRefusal(t, s)
								}
								for _, f := range r.Fetches {
									if f.Stage == boottest.StageLoader && f.Err == "" && !f.Probe {
										programs = append(programs, f.URL)
									}
								}
								time.Sleep(time.Minute)
							}
							if n := len(slices.DeleteFunc(programs, func(p string) bool { return strings.Contains(p, trusted) })); n > 1 {
								t.Errorf("fetched %d files that its firmware refuses", n)
							}
						})
					})
				})
			}
		}
	}
}

// checkRefusal looks for the refused loader in the timeline.
func checkRefusal(t *testing.T, s *site) {
	t.Helper()
	var a pxe.Attempt
	for _, e := range s.heard() {
		a = a.Next(e)
	}
	got := a.Diagnosis(time.Now())
	if !strings.Contains(got, "2011/") || !strings.Contains(got, "Secure Boot of the firmware refuses its signature") {
		t.Errorf("the diagnosis is %q", got)
	}
}

// iPXE 2.0 asks for autoexec.ipxe before it has an address: beside its own file, by the protocol
// that it was loaded with. With shim before it, it checks kernels by the shim of their distribution.
func TestAutoexec(t *testing.T) {
	for _, fw := range []boottest.Firmware{boottest.UEFIShimGRUB, boottest.UEFIHTTP} {
		for _, six := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,ipv6=%t", fw.Name, six), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					files, trials := signedLoaders()
					files["shimx64.efi"] = &fstest.MapFile{Data: []byte("of the distribution")}
					p := profile()
					p.Loader, p.Verify = firmware.IPXE, true
					change := func(_ *boottest.Segment, c *pxe.Config) {
						c.Loaders, c.Beside, c.Resolver = files, trials.Handed, pxe.Static(p)
						c.Files = fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}, "initrd": {Data: []byte("initrd")},
							"vmlinuz.sig": {Data: []byte("signature")}, "initrd.sig": {Data: []byte("signature")}}
					}
					runOn(t, network{six: six, trials: trials}, change, func(s *site) {
						m := s.segment.NewMachine(boottest.MachineConfig{Firmware: fw, Autoexec: true, Refuse: func([]byte) bool { return false }})
						r, err := m.Boot(t.Context())
						if err != nil || r.Running.Kind != boottest.Linux || !r.Running.Done {
							t.Errorf("%+v, %v\n%s\n%q", r.Running, err, strings.Join(fetches(r), "\n"), r.Console)
						}
						got := strings.ReplaceAll(strings.Join(fetches(r), "\n"), "2011//", "2011/") // shim writes it twice
						for _, want := range []string{"2011/snponly-shimx64.efi", "2011/snponly.efi", "2011/autoexec.ipxe", "script.ipxe?", "vmlinuz.sig", "initrd.sig", "/shimx64.efi"} {
							if _, after, ok := strings.Cut(got, want); !ok {
								t.Errorf("no %s, or not in this order", want)
							} else {
								got = after
							}
						}
					})
				})
			})
		}
	}
}
