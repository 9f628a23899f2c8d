package cloudinit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/kdomanski/iso9660"
)

// seedLabel is the volume label by which cloud-init knows a seed.
const seedLabel = "cidata"

// Seed returns the document as an ISO 9660 image of a few hundred KiB at most.
func (d *Document) Seed() (image []byte, err error) {
	meta, err := text(d.metadata())
	if err != nil {
		return nil, err
	}
	net, err := d.networkConfig()
	if err != nil {
		return nil, err
	}
	writer, err := iso9660.NewWriter()
	if err != nil {
		return nil, fmt.Errorf("write seed: %w", err)
	}
	defer func() { err = errors.Join(err, writer.Cleanup()) }()
	for _, file := range []struct{ name, content string }{
		{"meta-data", meta}, {"user-data", d.userData()}, {"network-config", net},
	} {
		if file.content == "" {
			continue
		}
		if err := writer.AddFile(strings.NewReader(file.content), file.name); err != nil {
			return nil, fmt.Errorf("write seed: %w", err)
		}
	}
	var b bytes.Buffer
	if err := writer.WriteTo(&b, seedLabel); err != nil {
		return nil, fmt.Errorf("write seed: %w", err)
	}
	return b.Bytes(), nil
}
