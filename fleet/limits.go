package fleet

import "time"

// Bounds that hold everywhere. Each is checked before memory is allocated for
// what it bounds.
const (
	// MaxNameBytes bounds a name that a person gives.
	MaxNameBytes = 128
	// MaxLabels and MaxLabelBytes bound an instance's labels, and a host's: 15 of
	// them with 2,048 bytes of keys and values take at most 15 x 14 bytes more on
	// the wire, which leaves a good part of a row to its other fields.
	MaxLabels     = 15
	MaxLabelBytes = 2048
	// MaxTraitsAsked bounds the traits that one request asks for, those included
	// which its image, cards and disks need.
	MaxTraitsAsked = 32
	// MaxBatch bounds the instances of one create; a larger number is a mistake
	// more often than not. BatchAbreast of them are on their way at once: each
	// waits for one host, so that a batch takes an eighth of what its creates would
	// one after the other, and no more of the hosts than eight people do.
	// MaxBatchVerdicts bounds what hosts lacked in one answer: 20,000 verdicts of
	// 200 B are 4 MB, two creates of which each names MaxHosts hosts.
	MaxBatch         = 1000
	BatchAbreast     = 8
	MaxBatchVerdicts = 2 * MaxHosts
	// MaxInstanceRowBytes bounds the body of an instance's row, MaxHostRowBytes
	// that of any row. A block with a larger one is refused by every receiver.
	MaxInstanceRowBytes = 4 << 10
	MaxHostRowBytes     = 16 << 10
	// MaxAddresses bounds what is told of a machine's addresses: with 19 bytes for
	// each they take a twelfth of its row.
	MaxAddresses = 16
	// MaxRows bounds a block: no single host runs more machines and holds
	// more images than this.
	MaxRows = 16384
	// MaxHostsHeld bounds the hosts that one node holds: six times the size
	// plan, and what two bytes can number.
	MaxHostsHeld = 1<<16 - 1
	// MaxBlockBytes bounds a block on the wire: a hostile peer cannot make a
	// node allocate more for one host.
	MaxBlockBytes = 16 << 20
	// MaxHosts is the size plan of a flat mesh.
	MaxHosts = 10000
	// MaxBodyBytes bounds the JSON body of a request (images are streamed and
	// bounded by their holder's disk).
	MaxBodyBytes = 1 << 20
	// MaxConnections bounds the connections that a listener of the API or of links
	// has open at once, MaxConnectionsEach those of one IPv4 address or one IPv6
	// /64. One that has shown no certificate takes at most 128 KiB, half of which
	// is its header: all of them take 512 MiB, and those of one address a quarter
	// of that. A registry that holds a thousand replies of one host comes to it.
	MaxConnections     = 4096
	MaxConnectionsEach = 1024
	// MaxGossipStreams bounds the gossip streams that a member takes at once,
	// MaxGossipStreamsEach those of one address, as above; each ends within
	// seconds. MaxGossipStreamBytes bounds what one brings, which has to be read
	// whole before it can be told from noise: 200 B of each of 40,000 members. So
	// one address costs 256 MiB at worst, for so long.
	MaxGossipStreams     = 128
	MaxGossipStreamsEach = 32
	MaxGossipStreamBytes = 8 << 20
	// MaxCmdlineBytes is COMMAND_LINE_SIZE of Linux on x86, less its zero.
	MaxCmdlineBytes = 2047
	// MaxGuestBytes bounds what cloud-init is given of an instance: 64 KiB, which
	// is what other clouds allow and fits a VMX option when encoded in base64 and
	// gzip. MaxSSHKeys bounds the keys in it.
	MaxGuestBytes = 64 << 10
	MaxSSHKeys    = 64
	// MaxHostnameBytes is HOST_NAME_MAX of Linux.
	MaxHostnameBytes = 64
	// MaxNICs is what the smallest of the hypervisors can give a machine (ESXi,
	// 10), less two to attach later; MaxDisks stays below the 15 of one of its
	// controllers with the first disk and a seed.
	MaxNICs  = 8
	MaxDisks = 12
	// MaxNetworks bounds the networks that a host's row names: 128 names of 64
	// bytes are half of a row.
	MaxNetworks = 128
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
	// MaxConsoles bounds the consoles that are open at one host: each takes at
	// most 1 MiB on its way from the hypervisor, and 128 KiB for the WebSocket and
	// TLS, so that all take 36 MiB. MaxConsoleTickets bounds those that nobody has
	// used yet, of 200 B each; none is older than ConsoleTicketLife.
	MaxConsoles       = 32
	MaxConsoleTickets = 256
	ConsoleTicketLife = 30 * time.Second
	// MaxConsoleMessage bounds one WebSocket message towards a guest.
	MaxConsoleMessage = 64 << 10
	// ConsoleIdle is how long a console may be silent in both directions.
	ConsoleIdle = time.Hour
	// UploadKept is how long a host keeps what it has of an upload that broke off,
	// from the last byte on.
	UploadKept = 24 * time.Hour
	// UploadStall is how long an upload may send nothing: then it has broken off,
	// and whoever comes next may go on with it.
	UploadStall = 30 * time.Second
	// MaxLogFollowers bounds the logs that are being followed at one host; each
	// takes at most 1 MiB on its way.
	MaxLogFollowers = 32
	// MaxReasonBytes bounds why somebody decided something, MaxRecordNameBytes
	// who, and what the subject was called. With ids and versions no record takes
	// more than 1.2 KiB, of the 16 KiB of a row.
	MaxReasonBytes     = 512
	MaxRecordNameBytes = 256
	// MaxRecords bounds the records that one agent holds: 4,096 of 1.2 KiB are
	// 4.8 MiB, a third of a block, and a quarter of its rows. Three copies of each
	// are held, so that a fleet of n agents holds n/3 times as many.
	MaxRecords = 4096
	// MaxPublicKeyBytes bounds a key pair's public key: RSA of 8,192 bits has 1.4
	// KiB, everything else less. So a record that makes an object takes at most 3.2
	// KiB.
	MaxPublicKeyBytes = 2 << 10
	// MaxObjectsHeld bounds the records that make objects at one agent: half of
	// MaxRecords, so that there is always room for decisions and for ends. 2,048 of
	// 3.2 KiB and 2,048 of 1.2 KiB are 8.8 MiB, a little more than half of a block.
	MaxObjectsHeld = MaxRecords / 2
	// MaxObjects bounds the groups, and the key pairs, of a fleet, as far as an agent
	// has heard of them: 8,192 of each, borne three times, with names of 20 bytes
	// and keys of 100 some 15 MiB at every node, an eighth of what 1,000,000
	// instances take.
	MaxObjects = 8192
	// RecordHolders is how many agents have a record in their journals before it
	// is answered, its acceptor among them: two disks may be lost with nothing
	// lost. In a smaller fleet all agents do.
	RecordHolders = 3
	// MaxRevocationsHeld bounds the records that revoke tokens at one agent, so that
	// there is always room for decisions. KeepRevoked is how long one is kept: no
	// token is older than a day (people.MaxTokenLife), and clocks may differ.
	MaxRevocationsHeld = MaxRecords / 4
	KeepRevoked        = 25 * time.Hour
	// MaxTrustBytes bounds a list of the fleet's roots as it is carried: three roots
	// and 12 intermediates of 0.5 KiB, in PEM. It lies in a record, of the 16 KiB of
	// a row.
	MaxTrustBytes = 12 << 10
	// KeepSpent is how long a holder keeps a record that is empty by now, for
	// people to read.
	KeepSpent = 24 * time.Hour
	// MaxAuditBytes bounds the audit log of a host, MaxAuditTextBytes each text of
	// an entry, of which nine can be given by others, so that none takes more than 3
	// KiB: 32 MiB are 70,000 entries of the usual 450 B, half a year of 400 changes a
	// day. MaxAuditPage entries are what one answer has at most: 3 MiB.
	MaxAuditBytes     = 32 << 20
	MaxAuditTextBytes = 256
	MaxAuditPage      = 1000
	// AuditRefusals bounds the entries of what was refused for want of rights that
	// are written every AuditRefusalsEvery: so whoever knocks at the door all day
	// makes 0.5 MB of a log a day, and pushes nothing out of it for two months.
	AuditRefusals      = 4
	AuditRefusalsEvery = 5 * time.Minute
	// AuditHeadEvery is how often, at most, a host publishes the head of its audit
	// log: 40 B in a row that is sent anyway, or a row of its own a minute later.
	AuditHeadEvery = 10 * time.Second
	// MaxAbsence is how long a fleet may not have heard of a host that comes back
	// without quarantine: an agent's restart takes seconds and a host's minutes, and
	// nobody gives a host up, and makes its instances elsewhere, within ten of them.
	MaxAbsence = 10 * time.Minute
	// ReturnPeers is of how many peers a host in quarantine takes in all that they
	// hold before it is trusted: as many as it has links of its own, so that one
	// peer which was cut off itself does not speak for the fleet.
	ReturnPeers = 3
	// GoingDown is how long before its last sign of life a host may have begun to
	// go down: what went off within that time, and nobody stopped, went off with
	// its host. AliveEvery is how often an agent writes that it is alive, which is
	// how much later than that its host may have died: half of it.
	GoingDown  = 2 * time.Minute
	AliveEvery = time.Minute
)
