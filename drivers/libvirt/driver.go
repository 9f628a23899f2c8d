package libvirt

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
	"grapevine/internal/keyed"
)

// Config says where libvirt is and what of it to use. The zero value is a
// host with stock settings.
type Config struct {
	// URI is libvirt's connection URI, qemu:///system when empty, xen:///system
	// for Xen. A socket=PATH in its query is taken as Socket, as virsh does.
	URI string
	// Socket is the path of the daemon's unix socket. Empty: the first that
	// exists of libvirtd's and virtqemud's.
	Socket string
	// Accelerator is auto, kvm or tcg; auto when empty. Auto takes KVM when
	// libvirt says that this host's processor can.
	Accelerator string
	// Pool names the storage pool for images, disks and console logs,
	// "grapevine" when empty. It is made, of type dir at PoolPath, when absent.
	Pool string
	// PoolPath is where an absent pool is made,
	// /var/lib/libvirt/images/grapevine when empty.
	PoolPath string
	// DiskPool names the storage pool for disks of machines, Pool when empty. It
	// may be one of block devices, and is not made when absent.
	DiskPool string
	// Network is the libvirt network that machines get a card on, "default"
	// when empty. Machines built while it does not run have no card.
	Network string
	// Dial reaches the host's own loopback, where the screens of Xen's guests
	// listen; a net.Dialer's when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log gets what the driver does beside what it is asked; nil discards it.
	Log *slog.Logger
}

// The values of Config.Accelerator.
const (
	Auto = "auto"
	KVM  = "kvm"
	TCG  = "tcg"
)

// Driver drives one host's libvirt. It implements drivers.Driver,
// drivers.ImageStore, drivers.ConsoleLogger and drivers.Diagnoser.
type Driver struct {
	config  Config
	log     *slog.Logger
	flavour *flavour
	session *session.Session
	storage *storage.Storage
	builds  keyed.Lock[fleet.InstanceID]
	sizes   diskSizes
	rests   rests
	asking  *asking
}

var (
	_ drivers.Driver        = (*Driver)(nil)
	_ drivers.ImageStore    = (*Driver)(nil)
	_ drivers.ConsoleLogger = (*Driver)(nil)
	_ drivers.Diagnoser     = (*Driver)(nil)
)

// New checks the configuration and returns a driver, which connects when it is
// first used. It asks nothing of libvirt, which need not run yet.
func New(config Config) (*Driver, error) {
	config.Accelerator = cmp.Or(config.Accelerator, Auto)
	switch config.Accelerator {
	case Auto, KVM, TCG:
	default:
		return nil, fmt.Errorf("accelerator %q is not one of auto, kvm, tcg", config.Accelerator)
	}
	uri, socket, err := splitURI(cmp.Or(config.URI, "qemu:///system"))
	if err != nil {
		return nil, err
	}
	config.URI, config.Socket = uri, cmp.Or(config.Socket, socket)
	config.Pool = cmp.Or(config.Pool, "grapevine")
	config.PoolPath = cmp.Or(config.PoolPath, "/var/lib/libvirt/images/grapevine")
	config.Network = cmp.Or(config.Network, "default")
	if config.Dial == nil {
		config.Dial = (&net.Dialer{}).DialContext
	}
	d := &Driver{config: config, log: cmp.Or(config.Log, slog.New(slog.DiscardHandler))}
	scheme, _, _ := strings.Cut(uri, ":")
	d.flavour = flavourOf(scheme)
	d.session = session.New(d.socket, uri)
	d.asking = newAsking(session.New(d.socket, uri), d.flavour.asks)
	d.storage = storage.New(d.session, storage.Config{Pool: config.Pool, Path: config.PoolPath, Disks: config.DiskPool, Log: d.log})
	return d, nil
}

// splitURI takes socket=PATH out of a connection URI, and the transport out of
// its scheme: the driver always uses a unix socket.
func splitURI(uri string) (plain, socket string, err error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Host != "" {
		return "", "", fmt.Errorf("libvirt uri %q is not that of a daemon on this host, such as qemu:///system", uri)
	}
	scheme, transport, named := strings.Cut(u.Scheme, "+")
	if named && transport != "unix" {
		return "", "", fmt.Errorf("libvirt uri %q asks for transport %q; only unix is supported", uri, transport)
	}
	query := u.Query()
	socket = query.Get("socket")
	query.Del("socket")
	plain = scheme + "://" + u.EscapedPath()
	if len(query) > 0 {
		plain += "?" + query.Encode()
	}
	return plain, socket, nil
}

// socket returns the path of the daemon's socket as things stand now.
func (d *Driver) socket() string {
	if d.config.Socket != "" {
		return d.config.Socket
	}
	for _, path := range d.flavour.sockets {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return d.flavour.sockets[0]
}

// Close hangs up and waits for the driver's goroutines; a Watch under way ends
// with ErrUnavailable. Machines go on.
func (d *Driver) Close() error {
	d.asking.close()
	d.session.Close()
	return nil
}
