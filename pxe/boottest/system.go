package boottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// doneArgument on the kernel's command line names the URL that a started system reports to.
const doneArgument = "maas.done="

// system is the system after the kernel: it gets an address, looks itself up, and reports.
func (b *boot) system(ctx context.Context) error {
	// The kernel knows nothing of the address the firmware had.
	if err := b.node.setAddr(netip.Addr{}); err != nil {
		return err
	}
	c := dhcpClient{boot: b, fw: &udhcpc, by: "linux", stage: StageSystem, hostname: b.cfg.Hostname}
	lease, err := c.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", StageSystem, err)
	}
	b.lease = lease
	host := b.cfg.Hostname
	if lease.Hostname != "" { // as the lease script of a small system does
		host = lease.Hostname
	}
	if host == "" {
		host = "localhost"
	}
	b.report.Running.Host = host
	if err := b.resolveNames(ctx, host); err != nil {
		return err
	}
	return b.phoneHome(ctx, host)
}

// namesWithin is the time between the lease and the appearance of a name.
const namesWithin = 5 * time.Second

// resolveNames looks up the system's own name, forward and back, and the names of the config.
func (b *boot) resolveNames(ctx context.Context, host string) error {
	var names []string
	if b.lease.Domain != "" && host != "localhost" {
		names = append(names, strings.TrimSuffix(host, "."+b.lease.Domain)+"."+b.lease.Domain)
	}
	own := len(names)
	names = append(names, b.cfg.Resolve...)
	if len(names) == 0 || len(b.lease.DNS) == 0 {
		return nil
	}
	for i, name := range names {
		want := netip.Addr{}
		if i < own {
			want = b.lease.Addr
		}
		if err := b.resolve(ctx, name, want); err != nil {
			return fmt.Errorf("%s: %w", StageNames, err)
		}
	}
	return nil
}

// resolve looks up one name, until it exists or the time is over. With want it must have that
// address, which must lead back to the name.
func (b *boot) resolve(ctx context.Context, name string, want netip.Addr) (err error) {
	b.progress(Progress{Stage: StageNames, What: name, Total: -1})
	end := time.Now().Add(namesWithin)
	for {
		var found []string
		if found, err = b.tryName(ctx, name, want); err == nil {
			b.report.Running.Names = append(b.report.Running.Names, found...)
			break
		}
		if ctx.Err() != nil || time.Now().After(end) {
			break
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	b.progress(Progress{Stage: StageNames, What: name, Total: -1, Done: true, Err: err})
	return err
}

func (b *boot) tryName(ctx context.Context, name string, want netip.Addr) ([]string, error) {
	addrs, err := b.lookupAddr(ctx, name)
	if err != nil {
		return nil, err
	}
	found := []string{name + " = " + addrs[0].String()}
	if !want.IsValid() {
		return found, nil
	}
	if addrs[0] != want {
		return nil, fmt.Errorf("%s has the address %v, the machine has %v", name, addrs[0], want)
	}
	back, err := b.lookupName(ctx, want)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(back, name) {
		return nil, fmt.Errorf("%v leads back to %s, not to %s", want, back, name)
	}
	return append(found, want.String()+" = "+back), nil
}

// phoneHome reports to the URL of the command line, if there is one.
func (b *boot) phoneHome(ctx context.Context, host string) error {
	uri := ""
	for _, arg := range strings.Fields(b.report.Running.Cmdline) {
		if v, ok := strings.CutPrefix(arg, doneArgument); ok {
			uri = v
		}
	}
	if uri == "" {
		return nil
	}
	b.progress(Progress{Stage: StageDone, What: uri, Total: -1})
	ones, _ := b.lease.Mask.Size()
	body := fmt.Sprintf("host=%s addr=%v/%d mac=%v", host, b.lease.Addr, ones, b.cfg.MAC)
	err := b.post(ctx, uri, body)
	b.progress(Progress{Stage: StageDone, What: uri, Total: -1, Done: true, Err: err})
	if err != nil {
		return fmt.Errorf("%s: %w", StageDone, err)
	}
	b.report.Running.Done = true
	return nil
}

func (b *boot) post(ctx context.Context, uri, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Wget")
	client := b.httpClient(0)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxText))
	if resp.StatusCode/100 != 2 {
		return errors.New("answer " + resp.Status)
	}
	return nil
}
