package config

// Choices gives the values that a flag may have; nil if it is not one with a fixed set of them.
func Choices(flag string) []string {
	switch flag {
	case "auth":
		return []string{AuthSigV4, AuthNone}
	case "auth-v2":
		return []string{AuthV2Presigned, AuthV2All, AuthV2Off}
	case "anonymous":
		return []string{"deny", "store"}
	case "tls-client-auth":
		return []string{"require", "optional"}
	case "etag":
		return etagModes
	case "range-check":
		return rangeChecks
	case "sse":
		return sseModes
	case "cors":
		return corsModes
	case "upstream-addressing":
		return addressings
	case "upstream-signature":
		return signatures
	case "upstream-payload":
		return payloads
	case "log-level":
		return []string{"error", "warn", "info", "debug", "trace"}
	case "log-format":
		return []string{"text", "json"}
	case "progress":
		return []string{"auto", "plain", "json", "none"}
	}
	return nil
}
