package libvirt

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
)

// loopback is where the screens of HVM guests listen: libxl hands out no
// connections to them.
const loopback = "127.0.0.1"

// addXenScreen gives an HVM guest a screen. Its memory is a part of the
// guest's, the least that libxl takes.
func addXenScreen(devices *libvirtxml.DomainDeviceList) {
	devices.Inputs = append(devices.Inputs, libvirtxml.DomainInput{Type: "tablet", Bus: "usb"})
	devices.Graphics = []libvirtxml.DomainGraphic{{VNC: &libvirtxml.DomainGraphicVNC{AutoPort: "yes", Listen: loopback}}}
	devices.Videos = []libvirtxml.DomainVideo{{Model: libvirtxml.DomainVideoModel{Type: "vga", VRam: 16 << 10}}} // KiB
}

// xenScreen connects to a guest's screen.
func xenScreen(ctx context.Context, d *Driver, dom golibvirt.Domain) (io.ReadWriteCloser, error) {
	at, err := d.screenOf(ctx, dom)
	if err != nil {
		return nil, err
	}
	conn, err := d.config.Dial(ctx, "tcp", at.address())
	if err != nil {
		return nil, fmt.Errorf("%w: connect to its screen: %w", drivers.ErrUnavailable, err)
	}
	// A port is another guest's soon after its own is gone: this one was this
	// guest's where it is that before and after.
	after, err := d.screenOf(ctx, dom)
	if err == nil && after != at {
		err = drivers.ErrNotRunning
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return screen{conn}, nil
}

// screenPlace is where a domain's screen listens.
type screenPlace struct {
	domain string // its number, which no other has
	listen string
	port   int
}

func (p screenPlace) address() string {
	if p.listen == "" || net.ParseIP(p.listen).IsUnspecified() {
		p.listen = loopback
	}
	return net.JoinHostPort(p.listen, strconv.Itoa(p.port))
}

// screenOf finds where the screen of a domain that is active listens.
func (d *Driver) screenOf(ctx context.Context, dom golibvirt.Domain) (screenPlace, error) {
	var text string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.DomainGetXMLDesc(dom, 0)
		return err
	})
	if session.IsCode(err, golibvirt.ErrNoDomain) {
		return screenPlace{}, drivers.ErrNotFound
	}
	if err != nil {
		return screenPlace{}, err
	}
	return parseScreen(text)
}

func parseScreen(text string) (screenPlace, error) {
	var seen struct {
		ID       string `xml:"id,attr"`
		Graphics []struct {
			Type   string `xml:"type,attr"`
			Port   int    `xml:"port,attr"`
			Listen string `xml:"listen,attr"`
		} `xml:"devices>graphics"`
	}
	if err := xml.Unmarshal([]byte(text), &seen); err != nil {
		return screenPlace{}, fmt.Errorf("parse domain XML: %w", err)
	}
	if seen.ID == "" {
		return screenPlace{}, drivers.ErrNotRunning
	}
	for _, g := range seen.Graphics {
		if g.Type == "vnc" && g.Port > 0 {
			return screenPlace{domain: seen.ID, listen: g.Listen, port: g.Port}, nil
		}
	}
	return screenPlace{}, drivers.Unfit("it has no screen: of Xen's guests, those have one that boot a disk or a CD")
}

// screen is a connection to a screen.
type screen struct{ net.Conn }

// Read implements io.Reader. A QEMU that ends while something is on its way to
// it resets the connection.
func (s screen) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return n, err
}
