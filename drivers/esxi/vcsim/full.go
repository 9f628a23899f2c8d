package vcsim

import (
	"io"
	"net/http"

	"github.com/vmware/govmomi/vim25/types"
)

// growing are the methods whose tasks need room on the datastore.
var growing = map[string]bool{
	"CopyVirtualDisk_Task": true, "ExtendVirtualDisk_Task": true, "CreateVM_Task": true,
	"CreateSnapshot_Task": true, "ReconfigVM_Task": true, "PowerOnVM_Task": true,
}

// FillDatastore makes the datastore full while on: nothing on it can grow.
func (h *Host) FillDatastore(on bool) {
	h.trouble.mu.Lock()
	h.trouble.full = on
	h.trouble.mu.Unlock()
	free := h.datastore().Summary.Capacity
	if on {
		free = 0
	}
	ds := h.datastore()
	ds.Summary.FreeSpace = free
	ds.Info.GetDatastoreInfo().FreeSpace = free
}

func (t *trouble) isFull() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.full
}

// breakOff takes half an upload and fails, as a full datastore does.
func (h *Host) breakOff(w http.ResponseWriter, r *http.Request, next http.Handler) {
	half := r.Clone(r.Context())
	half.Body = io.NopCloser(io.LimitReader(r.Body, r.ContentLength/2))
	next.ServeHTTP(discarded{http.Header{}}, half)
	http.Error(w, "internal error", http.StatusInternalServerError)
}

// discarded is an answer that nobody gets.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

// noSpace is what a task ends with that finds no room: the cause, beneath a
// fault that says only that it failed.
func noSpace() types.BaseMethodFault {
	fault := &types.GenericVmConfigFault{Reason: "cannot write"}
	fault.FaultCause = &types.LocalizedMethodFault{Fault: &types.NoDiskSpace{Datastore: DatastoreName}, LocalizedMessage: "no space left"}
	return fault
}
