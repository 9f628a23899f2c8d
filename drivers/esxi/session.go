package esxi

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	vimsession "github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// session is a connection to the host that stays logged in, and where things
// are there.
type session struct {
	client     *vim25.Client
	renewing   *renewing
	picture    *picture
	datacenter *object.Datacenter
	host       *object.HostSystem
	pool       *object.ResourcePool
	folder     *object.Folder
	datastore  *object.Datastore
	network    object.NetworkReference // of cards that name none
}

// refusal is a login that the host refused, and until when it is not tried
// again: ESXi locks an account after a few wrong passwords.
type refusal struct {
	err   error
	until time.Time
}

// refusalPause is how long a refused login is not tried again. ESXi locks an
// account for 15 minutes after 5 failures; the lock ends by itself at this
// pace once the password is right.
const refusalPause = 4 * time.Minute

// session returns the login, a new one where there is none.
func (d *Driver) session(ctx context.Context) (*session, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	s, refused := d.current, d.refused
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if time.Now().Before(refused.until) {
		return nil, refused.err
	}
	s, err := d.connect(ctx)
	if err != nil {
		// Whatever the reason, it says nothing about the machines.
		return nil, fmt.Errorf("%w: %s: %w", drivers.ErrUnavailable, d.url.Host, err)
	}
	d.mu.Lock()
	d.current = s
	d.mu.Unlock()
	d.log.Info("connected to ESXi host", "url", d.url.String(), "version", s.client.ServiceContent.About.FullName)
	return s, nil
}

// forget drops a session that no longer works.
func (d *Driver) forget(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == s {
		d.current = nil
		s.client.CloseIdleConnections()
	}
}

// connect logs in and looks around.
func (d *Driver) connect(ctx context.Context) (*session, error) {
	u := *d.url
	transport := soap.NewClient(&u, d.config.Insecure)
	if d.config.Thumbprint != "" {
		trust(transport, d.config.Thumbprint)
	}
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		return nil, fmt.Errorf("reach the host: %w", err)
	}
	s := &session{client: client, picture: newPicture()}
	if about := client.ServiceContent.About; about.ApiType != "HostAgent" {
		return nil, fmt.Errorf("this is a %s, not an ESXi host; give the address of one host", about.Name)
	}
	bare := *client // a login that is refused is not renewed
	login := func(ctx context.Context) error {
		err := vimsession.NewManager(&bare).Login(ctx, url.UserPassword(d.config.User, d.config.Password))
		return d.loginFailed(err)
	}
	if err := login(ctx); err != nil {
		client.CloseIdleConnections()
		return nil, err
	}
	s.renewing = renewal(client.RoundTripper, func(ctx context.Context) error { return d.again(ctx, login) })
	client.RoundTripper = s.renewing
	if err := s.lookAround(ctx, d.config); err != nil {
		s.logout()
		return nil, err
	}
	return s, nil
}

// again renews the login, unless the host has just refused it.
func (d *Driver) again(ctx context.Context, login func(context.Context) error) error {
	d.mu.Lock()
	refused := d.refused
	d.mu.Unlock()
	if time.Now().Before(refused.until) {
		return refused.err
	}
	if err := login(ctx); err != nil {
		return fmt.Errorf("%w: %s: %w", drivers.ErrUnavailable, d.url.Host, err)
	}
	d.log.Info("renewed the login on the ESXi host", "url", d.url.String())
	return nil
}

// loginFailed remembers a refusal, and leaves other errors as they are.
func (d *Driver) loginFailed(err error) error {
	if err == nil {
		return nil
	}
	if _, is := faultOf(err).(*types.InvalidLogin); !is {
		return fmt.Errorf("log in: %w", err)
	}
	err = fmt.Errorf("the host refuses the login of %q; check user and password", d.config.User)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = refusal{
		err:   fmt.Errorf("%w: %s: %w (not tried again for %s, so as not to lock the account)", drivers.ErrUnavailable, d.url.Host, err, refusalPause),
		until: time.Now().Add(refusalPause),
	}
	return err
}

// lookAround finds where things are. The inventory of a host that no vCenter
// manages has one of each, but for datastores and networks.
func (s *session) lookAround(ctx context.Context, config Config) (err error) {
	finder := find.NewFinder(s.client, false)
	if s.datacenter, err = finder.DefaultDatacenter(ctx); err != nil {
		return fmt.Errorf("find datacenter: %w", err)
	}
	finder.SetDatacenter(s.datacenter)
	if s.host, err = finder.DefaultHostSystem(ctx); err != nil {
		return fmt.Errorf("find host: %w", err)
	}
	if s.pool, err = finder.DefaultResourcePool(ctx); err != nil {
		return fmt.Errorf("find resource pool: %w", err)
	}
	folders, err := s.datacenter.Folders(ctx)
	if err != nil {
		return fmt.Errorf("find folders: %w", err)
	}
	s.folder = folders.VmFolder
	if s.datastore, err = finder.DatastoreOrDefault(ctx, config.Datastore); err != nil {
		return fmt.Errorf("find datastore %q (set the key datastore to one that the host has): %w", config.Datastore, err)
	}
	if s.network, err = finder.Network(ctx, config.Network); err != nil {
		return fmt.Errorf("find network %q (set the key network to a port group that the host has): %w", config.Network, err)
	}
	return nil
}

// logout ends the login; the host ends it by itself where that fails.
func (s *session) logout() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = vimsession.NewManager(s.client).Logout(ctx)
	s.client.CloseIdleConnections()
}

// properties is the host's collector for single reads.
func (s *session) properties() *property.Collector { return property.DefaultCollector(s.client) }
