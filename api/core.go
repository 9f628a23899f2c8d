package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"grapevine/fleet"
)

// Core is what the native API and every front end call: a registry implements
// it for the whole fleet, an agent for reads of the whole fleet and writes of
// its own host. Errors that callers may branch on are *fleet.Error.
type Core interface {
	Reader
	Dated
	Writer
	Drainer
	Uploader
	MeshReader
	MeshWriter
	WitnessKeeper
}

// Reader is all that a node reads.
type Reader interface {
	Reads
	// Await blocks until this node holds the host's block at version at or
	// newer, and in it the instance has no task or is gone. It returns the row
	// then; nil when it is gone. When ctx ends first it returns the row as it
	// is, and no error: the mutation goes on.
	Await(ctx context.Context, id fleet.InstanceID, at fleet.Version) (*fleet.Instance, error)
	// Explain is a dry run of CreateInstance: it promises nothing.
	Explain(ctx context.Context, c fleet.Create) (fleet.Explanation, error)
}

// Dated is a node that can be asked for an answer that is not older than a
// version.
type Dated interface {
	// AtLeast returns whom to read from for an answer that is not older than at:
	// the node itself, which waits a moment for its replica, or the host of at.
	AtLeast(ctx context.Context, at fleet.Version) (Reads, error)
	// Behind turns an error of reads at that host into one that people may see.
	Behind(at fleet.Version, err error) error
}

// Reads answers from the node's replica, without asking anyone, except where
// a method says so.
type Reads interface {
	Hosts(ctx context.Context) (fleet.List[fleet.Host], error)
	Host(ctx context.Context, id fleet.HostID) (fleet.Host, error)
	// Hardware asks the host what it is made of.
	Hardware(ctx context.Context, id fleet.HostID) (fleet.Hardware, error)
	Instances(ctx context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error)
	Instance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error)
	Images(ctx context.Context) (fleet.List[fleet.Image], error)
	Image(ctx context.Context, id string) (fleet.Image, error)
	Flavors(ctx context.Context) (fleet.List[fleet.Flavor], error)
	// Records returns a page of the facts that no host owns.
	Records(ctx context.Context, q fleet.RecordQuery) (fleet.List[fleet.RecordRow], error)
	ObjectReader
	// Operation asks the host that keeps it.
	Operation(ctx context.Context, id string) (fleet.Operation, error)
	// InstanceLog reads the machine's console log at its host. The caller closes
	// it; where the log is followed it goes on until ctx ends.
	InstanceLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error)
	// Snapshots asks the host of the instance for the machine's snapshots.
	Snapshots(ctx context.Context, id fleet.InstanceID) (fleet.SnapshotList, error)
	// Devices asks the host of the instance for what the machine has attached.
	Devices(ctx context.Context, id fleet.InstanceID) (fleet.DeviceList, error)
	// Usage asks the host of the instance what the machine has used.
	Usage(ctx context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error)
	// Export asks the host of the instance what is prepared to be carried away.
	Export(ctx context.Context, id fleet.InstanceID) (fleet.PreparedExport, error)
	// ReadExport reads a part of the file of such an export, at the host. The
	// caller closes it; ctx ends it too.
	ReadExport(ctx context.Context, id fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error)
	// PlanDrain asks the host how it is being emptied or, with a mode, what that
	// would do to each of its machines.
	PlanDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error)
	// Verify asks every host, and VerifyHost one, what does not add up.
	Verify(ctx context.Context) (fleet.Verification, error)
	VerifyHost(ctx context.Context, id fleet.HostID) (fleet.Verification, error)
	// FreshHost and FreshInstance ask the host itself, which asks its hypervisor
	// first. Where it cannot be asked the error is CodeNotCurrent.
	FreshHost(ctx context.Context, id fleet.HostID) (fleet.Host, error)
	FreshInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error)
	// Audit asks the host for a page of what it was asked to change.
	Audit(ctx context.Context, id fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error)
	// AuditHeads returns what this node has heard of a host's audit log and, unless
	// only that is wanted, asks all others.
	AuditHeads(ctx context.Context, id fleet.HostID, local bool) (fleet.AuditHeads, error)
	// TrustReport says which roots this node trusts and, unless only that is wanted, asks
	// all others.
	TrustReport(ctx context.Context, local bool) (fleet.TrustReport, error)
	// OwnHost and OwnInstance are the same, of this node's own host alone.
	OwnHost(ctx context.Context, id fleet.HostID) (fleet.Host, error)
	OwnInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error)
}

// Writer takes mutations. A nil error means that the owning host has promised
// durably; the outcome is in the row later.
type Writer interface {
	ObjectWriter
	Revoker
	CreateInstance(ctx context.Context, c CreateInstance) (fleet.Accepted, error)
	// Batch begins a batch, and returns what creates each of its instances; it may
	// be called several times at once.
	Batch() func(ctx context.Context, c CreateInstance) (fleet.Accepted, error)
	ActInstance(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts ActOptions) (fleet.Accepted, error)
	DeleteInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error)
	// IntendDelete makes it a record that an instance whose host cannot be heard is
	// to be deleted by it when it is back. It may be sent again.
	IntendDelete(ctx context.Context, id fleet.InstanceID, ask fleet.Decide, who Principal) (fleet.Decided, error)
	// ResizeInstance gives an instance the size that a flavor has at this node.
	ResizeInstance(ctx context.Context, id fleet.InstanceID, flavor string) (fleet.Accepted, error)
	// CaptureInstance makes an image of a stopped instance, at its host.
	CaptureInstance(ctx context.Context, id fleet.InstanceID, req fleet.CaptureInstance) (fleet.Accepted, error)
	// RescueInstance boots an instance from another image, until UnrescueInstance
	// makes it what it was. Keys are as for RebuildInstance.
	RescueInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rescue, key string) (fleet.Accepted, error)
	UnrescueInstance(ctx context.Context, id fleet.InstanceID, key string) (fleet.Accepted, error)
	// RebuildInstance makes an instance's first disk anew. With a key, empty for
	// none, a request that is sent again is the operation that it began.
	RebuildInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rebuild, key string) (fleet.Accepted, error)
	// MigrateInstance moves a stopped instance to another host. Keys are as for
	// RebuildInstance.
	MigrateInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Migrate, key string) (fleet.Accepted, error)
	// ExportInstance prepares a stopped instance to be carried away; DropExport
	// removes what was prepared.
	ExportInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error)
	DropExport(ctx context.Context, id fleet.InstanceID) error
	ChangeSnapshot(ctx context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (fleet.Accepted, error)
	ChangeDevice(ctx context.Context, id fleet.InstanceID, change fleet.DeviceChange) (fleet.Accepted, error)
	// OpenConsole returns a ticket for a console, which is opened at the
	// instance's own host.
	OpenConsole(ctx context.Context, id fleet.InstanceID, ask fleet.OpenConsole, who Principal) (fleet.ConsoleTicket, error)
	ActHost(ctx context.Context, id fleet.HostID, action fleet.HostAction) (fleet.Host, error)
	// SetAutostart says how an instance is brought up after a reboot of its host.
	SetAutostart(ctx context.Context, id fleet.InstanceID, ask fleet.Booting) (fleet.Accepted, error)
	// ReleaseHost ends a host's quarantine, whatever it waits for.
	ReleaseHost(ctx context.Context, id fleet.HostID, decide fleet.Decide) (fleet.Host, error)
	// DecideHost makes somebody's word about a host that cannot be heard a record.
	// It may be sent again.
	DecideHost(ctx context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide, who Principal) (fleet.Decided, error)
	// ChangeTrust makes a list of the fleet's roots, which proves itself, a record. It
	// may be sent again.
	ChangeTrust(ctx context.Context, ask fleet.ChangeTrust, who Principal) (fleet.Decided, error)
	// ImportImage stores an image at host (at an agent: its own; the zero id at
	// a registry: one that the registry chooses). Content is the image's files
	// one after the other in the order of im.Files.
	ImportImage(ctx context.Context, host fleet.HostID, im fleet.Image, content io.Reader) (fleet.Image, error)
	// ImportURL lets a host, chosen as for ImportImage, download an image. The
	// operation is that host's.
	ImportURL(ctx context.Context, host fleet.HostID, req fleet.ImportURL) (fleet.Operation, error)
	// DeleteImage deletes an image at a host (at an agent: its own; the zero id at
	// a registry: at all holders). A host that needs it keeps it.
	DeleteImage(ctx context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error)
}

// MeshReader shows what this node's gossip knows.
type MeshReader interface {
	Members(ctx context.Context) (fleet.List[fleet.Member], error)
	Links(ctx context.Context) (fleet.List[fleet.Link], error)
	Digest(ctx context.Context) (fleet.Digest, error)
	Lag(ctx context.Context) (fleet.Lag, error)
	// Watch yields changes from the call on, of one host (id or name) or, with
	// an empty host, of all; none from time to time, to show that it goes on. The
	// loop blocks; it ends when ctx does, or with an error when the node does.
	// Ctx must end.
	Watch(ctx context.Context, host string) (iter.Seq2[[]fleet.HostChange, error], error)
	// Trace asks every node of the mesh, unless q says not to, and blocks for
	// some seconds where some do not answer.
	Trace(ctx context.Context, q fleet.TraceQuery) (fleet.Trace, error)
	// Diff compares two nodes, by name, id or address; an empty one is this node.
	// It asks them.
	Diff(ctx context.Context, a, b string) (fleet.DigestDiff, error)
	// RTT estimates the round trip between two members, named as for Diff.
	RTT(ctx context.Context, a, b string) (fleet.RoundTrip, error)
	// Ping measures the round trip from this node to a member.
	Ping(ctx context.Context, to string) (fleet.RoundTrip, error)
	// GossipKeys asks all members which keys they hold.
	GossipKeys(ctx context.Context) (fleet.GossipKeyReport, error)
}

// MeshWriter changes what the members of the mesh share, and who they are.
type MeshWriter interface {
	// ChangeGossipKeys does something to a key at every member, and blocks until
	// all have answered; members that did not do it are in the report.
	ChangeGossipKeys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error)
	// Leave makes this node say good bye to the mesh. It answers as the member
	// that it was; the node's process ends soon after.
	Leave(ctx context.Context) (fleet.Member, error)
}

// Node is what agents serve beside Core to registries and other agents.
type Node interface {
	Witness
	// Claim judges a proposal and promises it durably, or refuses it durably
	// with *fleet.Error{Code: CodeRefused}, its reasons and the host's row.
	Claim(ctx context.Context, p fleet.Proposal) (fleet.Accepted, error)
	// Withdraw tells whether an instance is at this host, and refuses it durably
	// where it is not.
	Withdraw(ctx context.Context, id fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error)
	// SetSize promises an instance of this host another size, or refuses it.
	SetSize(ctx context.Context, id fleet.InstanceID, size fleet.Size) (fleet.Accepted, error)
	// ImageFile finds a file of an image that this host holds and can give.
	ImageFile(ctx context.Context, id string, role fleet.ImageRole) (fleet.ImageFile, error)
	// ReadImage reads such a file in part. The caller closes it; ctx ends it too.
	// Only so many are read at once; one more is CodeTooMany.
	ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error)
	// Key returns what this agent, as the key's home, holds.
	Key(ctx context.Context, id fleet.InstanceID) (fleet.KeyRecord, error)
	// ChangeKey is a compare-and-set on the key's record.
	ChangeKey(ctx context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error)
	// OfferMove offers an instance of the host whose agent asks to this one, and
	// tells how far it is. It may be sent again and again.
	OfferMove(ctx context.Context, m fleet.Move, who Principal) (fleet.MoveReport, error)
	// MoveAt tells how far a move from this host, or to it, is. What it says is in
	// the journal.
	MoveAt(ctx context.Context, id string) (fleet.MoveReport, error)
	// PutRecord journals a copy of a record, and returns what this agent then
	// holds under its id.
	PutRecord(ctx context.Context, r fleet.Record) (fleet.Record, error)
	// Console opens a console of an instance of this host. It judges the token
	// of a visit that has one, and nothing else then. A Read of the console ends
	// with io.EOF when the machine stops, and with a *fleet.Error where its
	// holder is sent away.
	Console(ctx context.Context, id fleet.InstanceID, visit ConsoleVisit) (io.ReadWriteCloser, error)
}

// ConsoleVisit is somebody at the door of a console.
type ConsoleVisit struct {
	// Token is that of a ticket; empty for one whom the access table admits.
	Token string
	// What is wanted, where there is no token.
	fleet.OpenConsole
	Who Principal
	// From is their address, for the log.
	From string
}

// CreateInstance is a create with what its HTTP request carried beside the
// body.
type CreateInstance struct {
	fleet.Create
	// Key is the Idempotency-Key, empty for none.
	Key string
	// Hash covers the body as it was sent, 64 hexadecimal digits.
	Hash string
	// Fast has nobody asked who has the key.
	Fast bool
}

// ActOptions refine an instance action.
type ActOptions struct {
	// Force skips the guest's own shutdown.
	Force bool
}

// Principal is who asks, as the transport has established it.
type Principal struct {
	Role PrincipalRole
	// ID is the certificate's host id, for the roles agent and registry.
	ID fleet.UUID
	// Name is for logs.
	Name string
	// Person is who shows a token; zero for a certificate's own.
	Person fleet.Person
	// For is whom a registry asks for, where it asks to change something.
	For *fleet.Asker
	// Token is the id of the token that was shown, and Issued and Expires when it was
	// issued and ends.
	Token           fleet.UUID
	Issued, Expires time.Time
	// Refused is why a token was not taken, where the role is Nobody for that.
	Refused error
	// Enrolled is when the certificate says that its bearer was let in; zero
	// where there is none.
	Enrolled time.Time
}

// Word names the principal where people read who did something.
func (p Principal) Word() string {
	switch {
	case p.Person.User != "":
		return string(p.Role) + " " + p.Person.String()
	case p.Name == "":
		return string(p.Role)
	default:
		return string(p.Role) + " " + p.Name
	}
}

// OfProject reports whether the principal may do nothing outside of the project of
// its token.
func (p Principal) OfProject() bool { return p.Role == AsMember || p.Role == AsReader }

// Within makes a project that was asked for that of the principal, where they have
// only one. The answer for another one is the same whether it is there or not.
func (p Principal) Within(project *string) error {
	if !p.OfProject() {
		return nil
	}
	own := p.Person.Project
	if *project != "" && *project != own {
		return &fleet.Error{Code: fleet.CodeForbidden, Detail: "the token is for project " + own + " alone; log in for the other one with: grapevine login --project"}
	}
	*project = own
	return nil
}

// Into is Within for what is made: who may use all projects and logged in for one
// means that one where they name none.
func (p Principal) Into(project *string) error {
	if *project == "" && (p.Role == AsOperator || p.Role == AsAdmin) {
		*project = p.Person.Project
	}
	return p.Within(project)
}

// Sees returns an error unless an instance is for the principal: that of an
// instance that is not there, so that nobody learns of those of others.
func (p Principal) Sees(row *fleet.Instance) error {
	if p.OfProject() && row.Project != p.Person.Project {
		return fleet.NoInstance(row.ID)
	}
	return nil
}

// Veil leaves out of an error what hosts said of themselves, unless it is for
// somebody who may see hosts.
func (p Principal) Veil(err error) error {
	var e *fleet.Error
	if !p.OfProject() || !errors.As(err, &e) || e.Host == nil && e.Verdicts == nil {
		return err
	}
	told := *e
	told.Host, told.Verdicts = nil, nil
	if e.Verdicts != nil {
		first, _, _ := strings.Cut(e.Detail, ". ")
		told.Detail = first + "; an operator can see what each host lacks"
	}
	return &told
}

// PrincipalRole says what a principal may do.
type PrincipalRole string

// The roles. Admins, operators and registries may mutate; agents may read and use
// the node routes; members may change what their project has, and readers see it;
// nobody may nothing but health checks and logging in.
const (
	Nobody     PrincipalRole = ""
	AsAgent    PrincipalRole = "agent"
	AsRegistry PrincipalRole = "registry"
	AsOperator PrincipalRole = "operator"
	AsAdmin    PrincipalRole = "admin"
	AsMember   PrincipalRole = "member"
	AsReader   PrincipalRole = "reader"
)
