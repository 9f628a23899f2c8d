package identity

// VerifyEd25519 is for the tests that compare it with the standard library's.
func VerifyEd25519(key, content, signature []byte) bool {
	return verifyEd25519(key, content, signature)
}
