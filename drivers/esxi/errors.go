package esxi

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"reflect"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// faultOf returns the fault with which the host answered, nil when it did not
// answer with one.
func faultOf(err error) types.BaseMethodFault {
	var f interface{ Fault() types.BaseMethodFault }
	if errors.As(err, &f) {
		return f.Fault()
	}
	return nil
}

// classify puts an error of govmomi into the contract's words. Errors that are
// in them already, and those of contexts, stay as they are.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isContract(err):
		return err
	}
	for f := faultOf(err); f != nil; f = causeOf(f) {
		if known := meaning(f); known != nil {
			return fmt.Errorf("%w: %w", known, err)
		}
	}
	if f := faultOf(err); f != nil {
		return fmt.Errorf("the host answered %s: %w", reflect.TypeOf(f).Elem().Name(), err)
	}
	if isTransport(err) {
		return fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
	}
	return err
}

// meaning is what a fault is in the contract's words, nil where these have none.
func meaning(fault types.BaseMethodFault) error {
	switch f := fault.(type) {
	case *types.NoDiskSpace, *types.InsufficientStorageSpace:
		return drivers.ErrOutOfSpace
	case *types.ManagedObjectNotFound:
		if isOfLogin(f.Obj) {
			return drivers.ErrUnavailable
		}
		return drivers.ErrNotFound
	case *types.HostNotConnected, *types.HostCommunication, *types.HostNotReachable, *types.NotAuthenticated:
		return drivers.ErrUnavailable
	default:
		return nil
	}
}

// causeOf is the fault that led to this one, nil where the host names none:
// what a full datastore does to a task may lie beneath a general fault.
func causeOf(fault types.BaseMethodFault) types.BaseMethodFault {
	if cause := fault.GetMethodFault().FaultCause; cause != nil {
		return cause.Fault
	}
	return nil
}

func isContract(err error) bool {
	for _, known := range []error{
		drivers.ErrNotFound, drivers.ErrUnavailable, drivers.ErrUnsupported,
		drivers.ErrOutOfSpace, drivers.ErrBadImage, drivers.ErrForeign, drivers.ErrMaintenance,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// isTransport reports whether no answer came, or one cut short.
func isTransport(err error) bool {
	var (
		urlError *url.Error
		netError net.Error
		syntax   *xml.SyntaxError
	)
	return errors.As(err, &urlError) || errors.As(err, &netError) || errors.As(err, &syntax) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func isUnavailable(err error) bool { return errors.Is(err, drivers.ErrUnavailable) }

// isNotAuthenticated reports whether the host no longer knows the login.
func isNotAuthenticated(err error) bool {
	_, is := faultOf(err).(*types.NotAuthenticated)
	return is
}

// isLostCollector reports whether what the host kept to tell of changes is
// gone, as it is with the login that it was made for.
func isLostCollector(err error) bool {
	f, is := faultOf(err).(*types.ManagedObjectNotFound)
	return is && isOfLogin(f.Obj)
}

// isOfLogin reports whether an object ends with the login it was made for.
func isOfLogin(object types.ManagedObjectReference) bool {
	return object.Type == "PropertyCollector" || object.Type == "PropertyFilter"
}

// isNoFile reports whether the fault is that of a file that is not there.
func isNoFile(err error) bool {
	_, is := faultOf(err).(*types.FileNotFound)
	return is
}

// isFileThere reports whether the fault is that of a file that is there.
func isFileThere(err error) bool {
	_, is := faultOf(err).(*types.FileAlreadyExists)
	return is
}

// isPowerState reports whether the fault is that of a machine that is not in
// the power state that the action starts from.
func isPowerState(err error) bool {
	_, is := faultOf(err).(*types.InvalidPowerState)
	return is
}
