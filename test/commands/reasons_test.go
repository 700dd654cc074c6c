package commands

import "encoding/json"

// reasons are the faults in a command's JSON, by key or record.
type reasons map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (r *reasons) UnmarshalJSON(text []byte) error {
	var list []struct{ Key, Record, Error string }
	err := json.Unmarshal(text, &list)
	*r = reasons{}
	for _, one := range list {
		(*r)[one.Key+one.Record] = one.Error
	}
	return err
}
