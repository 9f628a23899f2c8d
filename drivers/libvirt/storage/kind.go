package storage

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"sync"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

// Kinds are the types of pools whose volumes are files in a folder, as images,
// qcow2 disks and console logs are: a folder of the host, and a file system of
// a block device or of a server that libvirt mounts there.
var Kinds = []string{"dir", "fs", "netfs"}

// judged remembers the pools that were found to be of such a type; a pool of
// another one has another UUID.
type judged struct {
	mu    sync.Mutex
	fit   golibvirt.UUID
	known bool
}

// judge says why the pool cannot be used.
func (j *judged) judge(rpc *golibvirt.Libvirt, pool golibvirt.StoragePool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known && j.fit == pool.UUID {
		return nil
	}
	kind, err := KindOf(rpc, pool)
	if err != nil {
		return err
	}
	if !slices.Contains(Kinds, kind) {
		return fmt.Errorf("%w: a pool of type %s holds no files, and images, disks and console logs are files; use one of type %s",
			drivers.ErrUnsupported, kind, strings.Join(Kinds, ", "))
	}
	j.fit, j.known = pool.UUID, true
	return nil
}

// KindOf is the type of a pool.
func KindOf(rpc *golibvirt.Libvirt, pool golibvirt.StoragePool) (string, error) {
	text, err := rpc.StoragePoolGetXMLDesc(pool, 0)
	if err != nil {
		return "", err
	}
	var seen struct {
		Type string `xml:"type,attr"`
	}
	if err := xml.Unmarshal([]byte(text), &seen); err != nil {
		return "", fmt.Errorf("read pool XML: %w", err)
	}
	return seen.Type, nil
}
