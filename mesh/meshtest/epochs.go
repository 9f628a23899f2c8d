package meshtest

import "sync"

// Epochs is a mesh.EpochStore that lasts as long as its process. The zero value
// has stored nothing.
type Epochs struct {
	mu                 sync.Mutex
	epoch, incarnation uint64 // guarded by mu
}

// EpochsAt returns a store that holds this epoch already.
func EpochsAt(epoch uint64) *Epochs { return &Epochs{epoch: epoch} }

// LoadEpoch implements mesh.EpochStore.
func (e *Epochs) LoadEpoch() (epoch, incarnation uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.epoch, e.incarnation, nil
}

// StoreEpoch implements mesh.EpochStore.
func (e *Epochs) StoreEpoch(epoch, incarnation uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch, e.incarnation = epoch, incarnation
	return nil
}
