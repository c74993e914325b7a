package cli

import "github.com/gomaas/maas/cmd/maas/internal/config"

// fileFlags name a daemon's configuration file and data directory.
type fileFlags struct {
	Config string `help:"Configuration file. Flags and MAAS_* variables override it." type:"existingfile" placeholder:"FILE"`
	Data   string `help:"Directory for all persistent data (default ${default_data})." placeholder:"DIR"`
}

// join applies flags over the configuration file, if one is named.
func (f fileFlags) join(flags config.Config) (config.Config, error) {
	flags.Data = f.Data
	var base config.Config
	if f.Config != "" {
		var err error
		if base, err = config.Load(f.Config); err != nil {
			return base, err
		}
	}
	cfg := config.Overlay(base, flags)
	return cfg, cfg.Check()
}

// bootLogFlags configure what a rack takes of the logs of machines.
type bootLogFlags struct {
	SyslogPort int  `name:"syslog-port" help:"UDP port for what machines log while they boot, by syslog or netconsole (default 5247)." placeholder:"PORT"`
	NoSyslog   bool `name:"no-syslog" help:"Take nothing of what machines log."`
}

func (f bootLogFlags) into(cfg *config.Config) {
	cfg.Rack.SyslogPort, cfg.Rack.NoSyslog = f.SyslogPort, f.NoSyslog
}

// apiFlags configure a region's API.
type apiFlags struct {
	Listen  string `help:"Address and port of the API (default :5240)." placeholder:"ADDR:PORT"`
	TLS     string `name:"tls" help:"self-signed, files with --tls-cert and --tls-key, or off (default self-signed)."`
	TLSCert string `name:"tls-cert" help:"PEM file with the API's certificate and its chain." type:"path" placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"PEM file with the private key of the API's certificate." type:"path" placeholder:"FILE"`
	Plain   bool   `name:"plain-http" help:"Answer clients of other hosts over plain HTTP, too. Their passwords and keys cross the network unencrypted."`
}

func (f apiFlags) into(cfg *config.Config) {
	cfg.Region.Listen, cfg.Region.TLS, cfg.Region.TLSCert, cfg.Region.TLSKey = f.Listen, f.TLS, f.TLSCert, f.TLSKey
	cfg.Region.PlainHTTP = f.Plain
}

// dhcpFlags configure whether a rack serves DHCP.
type dhcpFlags struct {
	DHCPForce bool   `name:"dhcp-force" help:"Serve DHCP even if another DHCP server answers."`
	NoDHCP    bool   `name:"no-dhcp" help:"Do not serve DHCP."`
	DHCPMode  string `name:"dhcp-mode" help:"DHCP mode of networks that are new to the site: serve (this host gives addresses), proxy (another server does), auto, or watch (another server does; learn its leases and answer nothing)." placeholder:"MODE"`
}

func (f dhcpFlags) into(cfg *config.Config) {
	cfg.DHCP.Force, cfg.DHCP.Disable, cfg.DHCP.Mode = f.DHCPForce, f.NoDHCP, f.DHCPMode
}

// nameFlags configure a region's DNS.
type nameFlags struct {
	Domain    string   `help:"DNS domain of machines (default maas)."`
	Forwarder []string `help:"Resolver for other names (default: the resolvers of this host)." placeholder:"ADDR"`
}

func (f nameFlags) into(cfg *config.Config) {
	cfg.DNS.Domain, cfg.DNS.Forwarders = f.Domain, f.Forwarder
}

// logFlags configure a daemon's log and traces.
type logFlags struct {
	LogLevel  string `help:"debug, info, warn or error (default info)."`
	LogFormat string `help:"text or json (default text on a terminal, json otherwise)."`
	Trace     string `name:"trace-endpoint" help:"Collector of OpenTelemetry traces, by OTLP over HTTP, such as http://collector.example:4318 (default none, unless OTEL_EXPORTER_OTLP_ENDPOINT names one)." placeholder:"URL"`
}

func (f logFlags) into(cfg *config.Config) {
	cfg.Log, cfg.Trace = config.Log{Level: f.LogLevel, Format: f.LogFormat}, config.Trace{Endpoint: f.Trace}
}
