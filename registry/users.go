package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"grapevine/api"
	"grapevine/internal/pause"
	"grapevine/people"
)

// usersEvery is how often the users file is looked at.
const usersEvery = 2 * time.Second

// users is the users file, read again whenever it changes. Nil is a registry
// without one.
type users struct {
	path    string
	log     *slog.Logger
	metrics *metrics
	now     atomic.Pointer[people.Book]
	fault   string // that was logged last; Run's
}

// openUsers reads the users file; nil where none is named. At the start a bad one
// is an error: there is no older one to go by.
func openUsers(path string, log *slog.Logger, counts *metrics) (*users, error) {
	if path == "" {
		return nil, nil
	}
	u := &users{path: path, log: log, metrics: counts}
	book, err := readUsers(path)
	if err != nil {
		return nil, fmt.Errorf("users_file: %w", err)
	}
	u.now.Store(book)
	return u, nil
}

// book returns what the file says; nil without one.
func (u *users) book() *people.Book {
	if u == nil {
		return nil
	}
	return u.now.Load()
}

// perSecond is how many requests of one user are served.
func (u *users) perSecond() int {
	if book := u.book(); book != nil {
		return book.RequestsPerSecond()
	}
	return api.DefaultPerSecond
}

// Run looks at the file until ctx ends.
func (u *users) Run(ctx context.Context) error {
	if u == nil {
		<-ctx.Done()
		return nil
	}
	for pause.For(ctx, usersEvery) {
		u.look()
	}
	return nil
}

// look takes a new version over. A bad one is refused whole, once and loudly, and
// what the last good one says goes on.
func (u *users) look() {
	book, err := readUsers(u.path)
	switch {
	case err != nil:
		u.metrics.usersOld.Set(1)
		if u.fault != err.Error() {
			u.fault = err.Error()
			u.log.Error("users file refused; what it said before goes on", "error", err, "hash", u.book().Hash())
		}
		return
	case book.Hash() != u.book().Hash():
		u.log.Info("users file read", "path", u.path, "hash", book.Hash(), "was", u.book().Hash(), "users", len(book.Users()), "projects", len(book.Projects()))
	}
	u.metrics.usersOld.Set(0)
	u.fault = ""
	u.now.Store(book)
}

func readUsers(path string) (*people.Book, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist; make it, or leave users_file out", path)
	case err != nil:
		return nil, fmt.Errorf("read users: %w", err)
	case info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("%s is open to every user of this machine (mode %04o); run chmod 640 on it", path, info.Mode().Perm())
	case info.Size() > people.MaxFileBytes:
		return nil, fmt.Errorf("%s is %d bytes long; a users file is at most %d", path, info.Size(), people.MaxFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return people.Read(path, text)
}
