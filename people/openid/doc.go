// Package openid lets people in whom an OpenID provider vouches for. A registry
// judges the ID tokens that the provider signs, by the keys that it publishes; a
// person's command line gets one there, in a browser or by a code that is typed
// in on another device.
package openid
