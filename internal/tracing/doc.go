// Package tracing tells an OpenTelemetry collector what a daemon did for a
// request, how long each part took, and what became of it.
//
// It is off where no endpoint is set, and then costs nothing: a nil *Tracer
// starts nothing, Start returns the context it was given and a span that
// ignores all that is said to it, no goroutine runs and no header is sent.
//
// A Tracer begins traces: of a request (Serve), or of work that nobody asked
// for (Tracer.Start). Everybody below it calls Start, which makes a child of
// the span in the context, or nothing where there is none. So a package that
// does a part of the work needs neither the tracer nor a setting, and several
// daemons may live in one process.
//
// What ends is put into a bounded queue and sent by one goroutine as OTLP over
// HTTP. A span for which there is no room, or that the collector does not take
// in time, is dropped and counted: nothing here blocks or fails a request.
//
// The types of the OpenTelemetry libraries do not leave this package.
package tracing
