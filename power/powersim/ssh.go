package powersim

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/gomaas/maas/power"
)

// ServeSSH starts a BMC with a shell over SSH on a free port of 127.0.0.1. Its commands are power
// on, off, cycle, reset, soft and status, boot DEVICE, and console, which repeats what is typed.
// The target pins the key of the host.
func ServeSSH(c *Chassis, user, password string) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &shell{chassis: c}
	s.config.PasswordCallback = func(m ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
		if m.User() != user || string(given) != password {
			return nil, errors.New("refused")
		}
		return nil, nil
	}
	s.config.AddHostKey(key)
	tcp := serveTCP(ln, s.serve)
	address := ln.Addr().String()
	return &BMC{
		Address: address, faults: tcp.faults, session: tcp.count,
		target: power.Target{Kind: "ssh", Name: address, Params: power.Params{
			"power_address": address, "power_user": user, "power_pass": password, "ssh_fingerprint": ssh.FingerprintSHA256(key.PublicKey()),
			"command_on": "power on", "command_off": "power off", "command_query": "power status", "command_cycle": "power cycle",
			"command_reset": "power reset", "command_soft_off": "power soft", "command_boot_once": "boot {device}", "command_console": "console",
		}},
		close: func() error { return tcp.close(c) },
	}, nil
}

// shell is an SSH server that runs the commands of a BMC.
type shell struct {
	chassis *Chassis
	config  ssh.ServerConfig
}

func (s *shell) serve(conn net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(conn, &s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, reqs, err := c.Accept()
		if err != nil {
			return
		}
		sessions.Go(func() { s.session(channel, reqs) })
	}
}

// session runs the one command of a session.
func (s *shell) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		var exec struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &exec) != nil {
			_ = r.Reply(r.Type == "pty-req" || r.Type == "window-change", nil)
			continue
		}
		_ = r.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		output, status := s.command(channel, strings.ReplaceAll(exec.Command, "'", ""))
		if status != 0 {
			fmt.Fprintln(channel.Stderr(), output)
		} else {
			fmt.Fprintln(channel, output)
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
	}
}

func (s *shell) command(channel ssh.Channel, text string) (output string, status uint32) {
	verb, device, _ := strings.Cut(text, " ")
	switch {
	case text == "console":
		_, _ = io.Copy(channel, channel)
	case verb == "boot":
		s.chassis.SetBootOnce(power.BootDevice(device))
	case text == "power status" && s.chassis.On():
		return "Chassis Power is on", 0
	case text == "power status":
		return "Chassis Power is off", 0
	case text == "power on":
		s.chassis.SetPower(true)
	case text == "power off", text == "power soft":
		s.chassis.SetPower(false)
	case text == "power cycle", text == "power reset":
		s.chassis.Cycle()
	default:
		return verb + ": not found", 127
	}
	return "ok", 0
}
