// Package api is the native HTTP API, served by registry and agent alike over
// a Core that each of them implements.
//
// Handlers bind, validate, call the core and render; they hold no state. Every
// answer says how old its data is, every list is bounded and says its
// coverage, and every error is one RFC 9457 problem document with a stable
// code.
package api
