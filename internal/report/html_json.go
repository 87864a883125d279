package report

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// visibleJSON rewrites a mode's object so that a reader sees every character of its texts. The order of its fields
// stays. It returns nil if there is nothing to see.
func visibleJSON(data json.RawMessage) json.RawMessage {
	if plainJSON(data) {
		return data
	}
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber()
	var out bytes.Buffer
	if err := copyVisible(&out, in, 0); err != nil || out.String() == "{}" {
		return nil
	}
	return out.Bytes()
}

// plainJSON reports whether all is visible as it is, as in nearly all objects.
func plainJSON(data json.RawMessage) bool {
	depth := 0
	for _, c := range data {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if c < ' ' || c > '~' || c == '\\' || depth > htmlDeepest {
			return false
		}
	}
	return len(data) > len("{}")
}

func copyVisible(out *bytes.Buffer, in *json.Decoder, depth int) error {
	token, err := in.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		return writeVisible(out, token)
	}
	if depth == htmlDeepest {
		return fmt.Errorf("more than %d levels", htmlDeepest)
	}
	out.WriteRune(rune(open))
	for first := true; in.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		if open == '{' {
			key, err := in.Token()
			if err != nil {
				return err
			}
			if err := writeVisible(out, key); err != nil {
				return err
			}
			out.WriteByte(':')
		}
		if err := copyVisible(out, in, depth+1); err != nil {
			return err
		}
	}
	end, err := in.Token()
	if err == nil {
		out.WriteString(fmt.Sprint(end))
	}
	return err
}

func writeVisible(out *bytes.Buffer, scalar any) error {
	if text, ok := scalar.(string); ok {
		scalar = paragraphs(text)
	}
	data, err := json.Marshal(scalar)
	out.Write(data)
	return err
}
