package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

// translate wraps what go-libvirt returned in the contract's errors, keeping
// libvirt's own words.
func translate(err error) error {
	var said golibvirt.Error
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		if kind := kindOf(said); kind != nil {
			return fmt.Errorf("%w: %w", kind, err)
		}
		return err
	case errors.Is(err, golibvirt.ErrUnsupported):
		return fmt.Errorf("%w: %w", drivers.ErrUnsupported, err)
	case errors.Is(err, golibvirt.ErrInterrupted), errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.Is(err, syscall.EINVAL), errors.As(err, &network):
		// EINVAL is go-libvirt's word for a connection that is gone.
		return fmt.Errorf("%w: the connection was lost", drivers.ErrUnavailable)
	default:
		return err
	}
}

// kindOf returns the contract's error for one of libvirt's, nil for none.
func kindOf(said golibvirt.Error) error {
	switch golibvirt.ErrorNumber(said.Code) {
	case golibvirt.ErrNoDomain, golibvirt.ErrNoStorageVol, golibvirt.ErrNoDomainSnapshot:
		return drivers.ErrNotFound
	case golibvirt.ErrNoSupport:
		return drivers.ErrUnsupported
	default: // most of libvirt's hundred codes mean nothing to callers
	}
	// libvirt has no code for a full disk, only the system's words, and LVM's.
	for _, words := range []string{"No space left on device", "Disk quota exceeded", "not enough space", "insufficient free space"} {
		if strings.Contains(said.Message, words) {
			return drivers.ErrOutOfSpace
		}
	}
	return nil
}

// IsCode reports whether libvirt itself answered with this code.
func IsCode(err error, code golibvirt.ErrorNumber) bool {
	var said golibvirt.Error
	return errors.As(err, &said) && golibvirt.ErrorNumber(said.Code) == code
}

// Unanswered tells an error that says nothing from libvirt's refusal.
func Unanswered(err error) bool {
	return errors.Is(err, drivers.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
