package wire

import "net/url"

// encodeMetadata writes metadata so that any text fits into a header.
func encodeMetadata(m map[string]string) string {
	values := make(url.Values, len(m))
	for name, value := range m {
		values.Set(name, value)
	}
	return values.Encode()
}

// decodeMetadata reads what it can: metadata is a hint.
func decodeMetadata(text string) map[string]string {
	values, err := url.ParseQuery(text)
	if err != nil || len(values) == 0 {
		return nil
	}
	m := make(map[string]string, len(values))
	for name := range values {
		m[name] = values.Get(name)
	}
	return m
}
