package storage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
)

// Config says which pool is used.
type Config struct {
	// Pool is its name.
	Pool string
	// Path is where an absent pool is made.
	Path string
	// Disks names the pool of machines' disks, where it is another one. It is
	// not made.
	Disks string
	// Log gets what is done beside what is asked.
	Log *slog.Logger
}

// Storage is one host's storage pool, and the images that are kept in it.
type Storage struct {
	session *session.Session
	config  Config
	log     *slog.Logger
	images  *shelf
	judged  judged
}

// New returns the storage that is used through this session. It asks nothing
// of libvirt.
func New(session *session.Session, config Config) *Storage {
	return &Storage{session: session, config: config, log: config.Log, images: newShelf()}
}

// Pool is a pool that is there.
type Pool struct {
	session *session.Session
	libvirt golibvirt.StoragePool
	kind    string // empty where it was not asked for
}

// Blocks reports whether the pool's volumes are block devices, and not files.
func (p *Pool) Blocks() bool { return slices.Contains(BlockKinds, p.kind) }

// Sent reports whether libvirt copies nothing into the pool: see Send.
func (p *Pool) Sent() bool { return slices.Contains(sentKinds, p.kind) }

// Pool returns the storage pool, defined and started when it was not.
func (s *Storage) Pool(ctx context.Context) (*Pool, error) {
	return s.open(ctx, s.config.Pool, Kinds, func(rpc *golibvirt.Libvirt, err error) (golibvirt.StoragePool, error) {
		if session.IsCode(err, golibvirt.ErrNoStoragePool) {
			return s.define(rpc)
		}
		return golibvirt.StoragePool{}, err
	})
}

// Apart reports whether machines' disks lie in a pool of their own.
func (s *Storage) Apart() bool { return s.config.Disks != "" && s.config.Disks != s.config.Pool }

// Disks returns the pool of machines' disks where it is one of its own, started
// when it was not.
func (s *Storage) Disks(ctx context.Context) (*Pool, error) {
	return s.open(ctx, s.config.Disks, DiskKinds, func(_ *golibvirt.Libvirt, err error) (golibvirt.StoragePool, error) {
		return golibvirt.StoragePool{}, err
	})
}

// open returns a pool of one of these types, started when it was not; absent
// has the last word where it is not there.
func (s *Storage) open(ctx context.Context, name string, taken []string, absent func(*golibvirt.Libvirt, error) (golibvirt.StoragePool, error)) (*Pool, error) {
	p := &Pool{session: s.session}
	err := s.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		if p.libvirt, err = rpc.StoragePoolLookupByName(name); err != nil {
			p.libvirt, err = absent(rpc, err)
		}
		if err == nil {
			p.kind, err = s.judged.judge(rpc, p.libvirt, taken)
		}
		if err != nil {
			return err
		}
		return p.start(rpc)
	})
	if err != nil {
		return nil, fmt.Errorf("start storage pool %q: %w", name, err)
	}
	return p, nil
}

// start starts the pool when it was not. To build one is to make its folder,
// and of one of block devices to make it anew.
func (p *Pool) start(rpc *golibvirt.Libvirt) error {
	active, err := rpc.StoragePoolIsActive(p.libvirt)
	if err != nil || active == 1 {
		return err
	}
	how := golibvirt.StoragePoolCreateWithBuild
	if p.Blocks() {
		how = golibvirt.StoragePoolCreateNormal
	}
	if err := rpc.StoragePoolCreate(p.libvirt, how); err != nil {
		if again, err := rpc.StoragePoolIsActive(p.libvirt); err == nil && again == 1 {
			return nil // another driver was first
		}
		return err
	}
	return nil
}

func (s *Storage) define(rpc *golibvirt.Libvirt) (golibvirt.StoragePool, error) {
	text, err := (&libvirtxml.StoragePool{
		Type:   "dir",
		Name:   s.config.Pool,
		Target: &libvirtxml.StoragePoolTarget{Path: s.config.Path},
	}).Marshal()
	if err != nil {
		return golibvirt.StoragePool{}, err
	}
	pool, err := rpc.StoragePoolDefineXML(text, 0)
	if err != nil {
		if there, lookup := rpc.StoragePoolLookupByName(s.config.Pool); lookup == nil {
			return there, nil // another driver was first
		}
		return pool, err
	}
	s.log.Info("storage pool made", "pool", s.config.Pool, "path", s.config.Path)
	return pool, rpc.StoragePoolSetAutostart(pool, 1)
}

// Find returns the pool, or ErrNotFound when it was never made.
func (s *Storage) Find(ctx context.Context) (*Pool, error) {
	p := &Pool{session: s.session}
	err := s.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		p.libvirt, err = rpc.StoragePoolLookupByName(s.config.Pool)
		return err
	})
	if session.IsCode(err, golibvirt.ErrNoStoragePool) {
		err = fmt.Errorf("%w: %w", drivers.ErrNotFound, err)
	}
	return p, err
}

// Bytes is the size of the whole pool, and what is left of it. Libvirt counts what
// is left when it makes, deletes or looks for volumes, so that a pool that was full
// is looked at again.
func (p *Pool) Bytes(ctx context.Context) (size, left uint64, err error) {
	if size, left, err = p.bytes(ctx); err != nil || left >= drivers.FullBelow {
		return size, left, err
	}
	if err := p.Refresh(ctx); err != nil {
		return 0, 0, err
	}
	return p.bytes(ctx)
}

func (p *Pool) bytes(ctx context.Context) (size, left uint64, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		_, size, _, left, err = rpc.StoragePoolGetInfo(p.libvirt)
		return err
	})
	return size, left, err
}
