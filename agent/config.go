package agent

import (
	"errors"
	"fmt"
	"time"

	"grapevine/agent/download"
	"grapevine/fleet"
	"grapevine/internal/tracing"
	"grapevine/mesh"
)

// Config is what an operator sets of an agent: the keys of agent.toml.
type Config struct {
	Name    string            `toml:"name" help:"short name of the host, a label; the machine's host name when empty"`
	Zone    string            `toml:"zone" help:"zone that the host is in"`
	Labels  map[string]string `toml:"labels" help:"labels that the host is found by: key=value,key=value; in the file a table"`
	Fleet   string            `toml:"fleet" help:"name of the fleet, checked against the certificate; the certificate's when empty"`
	DataDir string            `toml:"data_dir" help:"folder of the journal"`
	Join    []string          `toml:"join" help:"members to join through: names, addresses (port 7946 when none is given) or SRV names"`
	// ReplacesHardware is how an operator restores the identity of a host whose
	// board was replaced; without it that host is taken for a copy of itself.
	ReplacesHardware string `toml:"replaces_hardware" help:"fingerprint of the board that this host had before, when it was replaced: the agent says which when it refuses to start"`
	LogLevel         string `toml:"log_level" help:"debug, info, warn or error"`

	Listen          string `toml:"listen" help:"address of the HTTPS API and of links, host:port"`
	ListenAdvertise string `toml:"listen_advertise" help:"address at which others reach them, host:port; the host's first address when empty"`
	GossipBind      string `toml:"gossip_bind" help:"address of the gossip, host:port, TCP and UDP"`
	GossipAdvertise string `toml:"gossip_advertise" help:"address of the gossip that others are told, host:port; the host's first address when empty"`
	Socket          string `toml:"socket" help:"unix socket for root and the group grapevine; empty for none"`
	SocketGroup     string `toml:"socket_group" help:"group that may use the socket"`

	TLSCA         string `toml:"tls_ca" help:"certificate of the fleet's CA, PEM"`
	TLSCert       string `toml:"tls_cert" help:"this host's certificate, PEM; the host id is in it"`
	TLSKey        string `toml:"tls_key" help:"private key of the certificate, PEM"`
	GossipKeyFile string `toml:"gossip_key_file" help:"file with the key that encrypts gossip, base64 of 32 bytes; further lines hold keys that are read with too"`
	JoinFile      string `toml:"join_file" help:"file with further members to join through, one a line, as grapevine join writes it; it may be absent"`
	CACertFile    string `toml:"ca_cert_file" help:"certificate of an intermediate CA, with which this node lets others in and renews their certificates; empty for none"`
	CAKeyFile     string `toml:"ca_key_file" help:"key of that CA, readable by its owner alone"`

	CertificateLife time.Duration `toml:"certificate_life" help:"how long the certificates are good that this node issues by its CA; they renew themselves after two thirds of it"`

	SerfRPC     string `toml:"serf_rpc" help:"loopback address at which the stock serf command is answered, as 127.0.0.1:7373; empty for nowhere"`
	SerfRPCAuth string `toml:"serf_rpc_auth" help:"file with the secret that the serf command must tell, 16 characters or more; serf_rpc needs it"`

	ListEvery      time.Duration `toml:"list_every" help:"time between full listings of the hypervisor"`
	StopGrace      time.Duration `toml:"stop_grace" help:"how long a guest may take to shut down by itself"`
	AutostartEvery time.Duration `toml:"autostart_every" help:"time between two instances that are started after a reboot of the host; guests that boot together wait for the same disks"`
	BuildTimeout   time.Duration `toml:"build_timeout" help:"how long a claim is held for an instance that is being built"`

	OvercommitVCPUs  float64 `toml:"overcommit_vcpus" help:"vCPUs given out for each physical one"`
	OvercommitMemory float64 `toml:"overcommit_memory" help:"memory given out for each physical MiB"`
	OvercommitDisk   float64 `toml:"overcommit_disk" help:"disk given out for each physical GiB"`
	ReserveVCPUs     int64   `toml:"reserve_vcpus" help:"vCPUs kept for the host itself"`
	ReserveMemoryMiB int64   `toml:"reserve_memory_mib" help:"MiB of memory kept for the host itself"`
	ReserveDiskGiB   int64   `toml:"reserve_disk_gib" help:"GiB of disk kept for the host itself"`

	ImageCacheMiB int64    `toml:"image_cache_mib" help:"MiB of images that this host may keep of those it fetched from other hosts; 0 for no limit"`
	ImageURLs     []string `toml:"image_urls" help:"URLs below which images may be downloaded although the address is not public, as http://mirror.example/images/"`

	Flavors []fleet.Flavor `toml:"flavors" help:"named sizes, instead of the built-in ones"`

	tracing.Settings
}

// Default returns the configuration of a host about which nothing is said.
func Default() Config {
	return Config{
		DataDir:          "/var/lib/grapevine/agent",
		LogLevel:         "info",
		Listen:           ":7947",
		GossipBind:       ":7946",
		Socket:           "/run/grapevine/agent.sock",
		SocketGroup:      "grapevine",
		TLSCA:            "/etc/grapevine/tls/ca.pem",
		TLSCert:          "/etc/grapevine/tls/agent.pem",
		TLSKey:           "/etc/grapevine/tls/agent-key.pem",
		GossipKeyFile:    "/etc/grapevine/tls/gossip.key",
		JoinFile:         "/etc/grapevine/tls/join",
		CertificateLife:  fleet.CertificateLife,
		ListEvery:        5 * time.Second,
		StopGrace:        30 * time.Second,
		BuildTimeout:     15 * time.Minute,
		AutostartEvery:   2 * time.Second,
		OvercommitVCPUs:  4,
		OvercommitMemory: 1,
		OvercommitDisk:   1,
		ReserveMemoryMiB: 512,
		Flavors:          fleet.BuiltinFlavors(),
		Settings:         tracing.DefaultSettings(),
	}
}

// Validate judges the configuration and names the key at fault.
func (c *Config) Validate() error {
	if c.Name != "" {
		if err := fleet.CheckName("name", c.Name); err != nil {
			return err
		}
	}
	if c.Zone != "" {
		if err := fleet.CheckName("zone", c.Zone); err != nil {
			return err
		}
	}
	if err := fleet.CheckLabels(c.Labels); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	for _, key := range []struct{ name, value string }{
		{"data_dir", c.DataDir},
		{"listen", c.Listen},
		{"gossip_bind", c.GossipBind},
	} {
		if key.value == "" {
			return fmt.Errorf("%s is empty; it must be set", key.name)
		}
	}
	for _, key := range []struct {
		name       string
		value, low time.Duration
	}{
		{"list_every", c.ListEvery, 100 * time.Millisecond},
		{"stop_grace", c.StopGrace, 0},
		{"autostart_every", c.AutostartEvery, 0},
		{"build_timeout", c.BuildTimeout, time.Second},
	} {
		if key.value < key.low {
			return fmt.Errorf("%s is %s; it must be at least %s", key.name, key.value, key.low)
		}
	}
	for _, key := range []struct {
		name  string
		value float64
	}{
		{"overcommit_vcpus", c.OvercommitVCPUs},
		{"overcommit_memory", c.OvercommitMemory},
		{"overcommit_disk", c.OvercommitDisk},
	} {
		if key.value <= 0 || key.value > 100 {
			return fmt.Errorf("%s is %g; it must be more than 0 and at most 100", key.name, key.value)
		}
	}
	for _, key := range []struct {
		name  string
		value int64
	}{
		{"reserve_vcpus", c.ReserveVCPUs},
		{"reserve_memory_mib", c.ReserveMemoryMiB},
		{"reserve_disk_gib", c.ReserveDiskGiB},
		{"image_cache_mib", c.ImageCacheMiB},
	} {
		if key.value < 0 {
			return fmt.Errorf("%s is %d; it must not be negative", key.name, key.value)
		}
	}
	if _, err := download.NewWeb(c.ImageURLs); err != nil {
		return fmt.Errorf("image_urls: %w", err)
	}
	if c.CertificateLife < fleet.MinCertificateLife {
		return fmt.Errorf("certificate_life is %s; it must be at least %s", c.CertificateLife, fleet.MinCertificateLife)
	}
	if (c.CACertFile == "") != (c.CAKeyFile == "") {
		return errors.New("of ca_cert_file and ca_key_file one is set; set both, as grapevine tls intermediate made them, or none")
	}
	if err := c.validateSerfRPC(); err != nil {
		return err
	}
	if err := c.Settings.Validate(); err != nil {
		return err
	}
	return c.validateFlavors()
}

func (c *Config) validateSerfRPC() error {
	if c.SerfRPC == "" {
		return nil
	}
	if err := mesh.CheckSerfRPC(c.SerfRPC); err != nil {
		return err
	}
	if c.SerfRPCAuth == "" {
		return errors.New("serf_rpc is on and serf_rpc_auth is not set: any local user could make this host leave the mesh; " +
			"put a secret into a file (openssl rand -hex 32), readable by the agent alone, and set serf_rpc_auth to its path")
	}
	return nil
}

func (c *Config) validateFlavors() error {
	seen := map[string]bool{}
	for _, f := range c.Flavors {
		if err := fleet.CheckName("flavor name", f.Name); err != nil {
			return err
		}
		if seen[f.Name] {
			return fmt.Errorf("flavors: %q is there twice; keep one", f.Name)
		}
		seen[f.Name] = true
		if err := f.Resources.Validate(); err != nil {
			return fmt.Errorf("flavor %q: %w", f.Name, err)
		}
	}
	return nil
}
