package session

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

func TestErrorsAreTyped(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want error
	}{
		{golibvirt.Error{Code: uint32(golibvirt.ErrNoDomain), Message: "x"}, drivers.ErrNotFound},
		{golibvirt.Error{Code: uint32(golibvirt.ErrNoStorageVol), Message: "x"}, drivers.ErrNotFound},
		{golibvirt.Error{Code: uint32(golibvirt.ErrNoSupport), Message: "x"}, drivers.ErrUnsupported},
		{golibvirt.Error{Code: uint32(golibvirt.ErrSystemError), Message: "cannot allocate 5 bytes: No space left on device"}, drivers.ErrOutOfSpace},
		{golibvirt.ErrUnsupported, drivers.ErrUnsupported},
		{golibvirt.ErrInterrupted, drivers.ErrUnavailable},
		{fmt.Errorf("send: %w", syscall.EINVAL), drivers.ErrUnavailable},
		{io.EOF, drivers.ErrUnavailable},
	} {
		if got := translate(tt.err); !errors.Is(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
	if got := translate(golibvirt.Error{Code: 1, Message: "other"}); got.Error() != "other" {
		t.Errorf("another error became %v", got)
	}
}

func TestSaidErrorReadsWhatIsThere(t *testing.T) {
	whole := xdr{}.u32(uint32(golibvirt.ErrNoStorageVol)).u32(18).u32(1).str("no such volume")
	if got := saidError(whole); got.Error() != "no such volume" || !IsCode(got, golibvirt.ErrNoStorageVol) {
		t.Errorf("got %v", got)
	}
	for n := range len(whole) {
		if saidError(whole[:n]) == nil {
			t.Errorf("%d bytes of an error are no error", n)
		}
	}
}
