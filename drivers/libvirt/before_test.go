package libvirt

import (
	"errors"
	"strings"
	"testing"

	"libvirt.org/go/libvirtxml"
)

// What a domain was is packed in its metadata, which whoever edits domains writes:
// a few KiB of it must not unpack to all of the host's memory.
func TestWhatADomainWasIsBounded(t *testing.T) {
	for text, whole := range map[string]bool{
		"<domain type='kvm'><name>a</name></domain>":                                      true,
		"<domain type='kvm'><name>" + strings.Repeat("a", maxBefore) + "</name></domain>": false,
	} {
		kept := definition{text: text}
		if err := kept.keepBefore(); err != nil {
			t.Fatal(err)
		}
		def := definition{xml: libvirtxml.Domain{Metadata: kept.xml.Metadata}}
		if err := def.bringBefore(); (err == nil) != whole || err != nil && !errors.Is(err, errNoBefore) {
			t.Errorf("of %d bytes: %v", len(text), err)
		}
	}
}
