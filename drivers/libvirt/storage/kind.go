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

// BlockKinds are the types of pools whose volumes are block devices. Machines'
// disks can lie in one, and nothing else.
var BlockKinds = []string{"logical", "zfs"}

// sentKinds are those of them into which libvirt copies no volume: what is to be
// in one is sent. A new volume of theirs holds zeros.
var sentKinds = []string{"zfs"}

// DiskKinds are the types of pools for machines' disks.
var DiskKinds = slices.Concat(Kinds, BlockKinds)

// judged remembers the types of pools that can be used; a pool of another type
// has another UUID.
type judged struct {
	mu    sync.Mutex
	kinds map[golibvirt.UUID]string
}

// judge returns the pool's type, or says why a pool of it is not taken.
func (j *judged) judge(rpc *golibvirt.Libvirt, pool golibvirt.StoragePool, taken []string) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kind, known := j.kinds[pool.UUID]
	if !known {
		var err error
		if kind, err = KindOf(rpc, pool); err != nil {
			return "", err
		}
	}
	if !slices.Contains(taken, kind) {
		return "", fmt.Errorf("%w: %s", drivers.ErrUnsupported, Unfit(kind, taken))
	}
	if j.kinds == nil {
		j.kinds = make(map[golibvirt.UUID]string)
	}
	j.kinds[pool.UUID] = kind
	return kind, nil
}

// Unfit says why a pool of this type is none of those that are taken.
func Unfit(kind string, taken []string) string {
	why := "machines' disks cannot be made in it"
	if !slices.Contains(taken, BlockKinds[0]) {
		why = "it holds no files, as images, console logs and, where no other pool is named for them, disks are"
	}
	return fmt.Sprintf("the storage pool is of type %s: %s; use one of type %s", kind, why, strings.Join(taken, ", "))
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
