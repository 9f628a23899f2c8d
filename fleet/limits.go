package fleet

// Bounds that hold everywhere. Each is checked before memory is allocated for
// what it bounds.
const (
	// MaxNameBytes bounds a name that a person gives.
	MaxNameBytes = 128
	// MaxLabels bounds an instance's labels; with names of MaxNameBytes on
	// both sides they stay below 16 x 256 = 4 KiB, a row's bound.
	MaxLabels = 15
	// MaxInstanceRowBytes and MaxHostRowBytes bound encoded rows.
	MaxInstanceRowBytes = 8 << 10
	MaxHostRowBytes     = 64 << 10
	// MaxRows bounds a block: no single host runs more machines and holds
	// more images than this.
	MaxRows = 16384
	// MaxBlockBytes bounds a block on the wire: a hostile peer cannot make a
	// node allocate more for one host.
	MaxBlockBytes = 16 << 20
	// MaxHosts is the size plan of a flat mesh.
	MaxHosts = 10000
	// MaxBodyBytes bounds the JSON body of a request (images are streamed and
	// bounded by their holder's disk).
	MaxBodyBytes = 1 << 20
	// MaxCmdlineBytes is COMMAND_LINE_SIZE of Linux on x86, less its zero.
	MaxCmdlineBytes = 2047
	// MaxTagBytes is what Serf tags may take in all; memberlist's meta is 512.
	MaxTagBytes = 64
	// DefaultPage and MaxPage bound a list's answer, in rows.
	DefaultPage = 1000
	MaxPage     = 10000
	// MaxVCPUs, MaxMemoryMiB and MaxDiskGiB bound one instance; past them a
	// number is a mistake, and sums over a host cannot overflow.
	MaxVCPUs     = 1024
	MaxMemoryMiB = 64 << 20 // 64 TiB
	MaxDiskGiB   = 1 << 20  // 1 PiB
	// MaxWatchRows bounds how many rows a change names, and MaxWatchers how many
	// may watch one node at once. A watcher keeps the head of each host's block:
	// with MaxHosts hosts of 100 B each 1 MB, so that all take 32 MB at most.
	MaxWatchRows = 16
	MaxWatchers  = 32
	// MaxAskedAtOnce bounds how many nodes one node asks at the same time, where
	// a question is for all of them: each costs a TLS handshake.
	MaxAskedAtOnce = 64
)
