package storage

import (
	"context"
	"fmt"
	"log/slog"

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
}

// Pool returns the storage pool, defined and started when it was not.
func (s *Storage) Pool(ctx context.Context) (*Pool, error) {
	var pool golibvirt.StoragePool
	err := s.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		var err error
		pool, err = rpc.StoragePoolLookupByName(s.config.Pool)
		if session.IsCode(err, golibvirt.ErrNoStoragePool) {
			pool, err = s.define(rpc)
		}
		if err == nil {
			err = s.judged.judge(rpc, pool)
		}
		if err != nil {
			return err
		}
		active, err := rpc.StoragePoolIsActive(pool)
		if err != nil || active == 1 {
			return err
		}
		if err := rpc.StoragePoolCreate(pool, golibvirt.StoragePoolCreateWithBuild); err != nil {
			if again, err := rpc.StoragePoolIsActive(pool); err == nil && again == 1 {
				return nil // another driver was first
			}
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("start storage pool %q: %w", s.config.Pool, err)
	}
	return &Pool{session: s.session, libvirt: pool}, nil
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

// Bytes is the size of the whole pool.
func (p *Pool) Bytes(ctx context.Context) (size uint64, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		_, size, _, _, err = rpc.StoragePoolGetInfo(p.libvirt)
		return err
	})
	return size, err
}
