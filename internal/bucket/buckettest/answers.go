package buckettest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// deleteSome answers a batch with errors for what may not be deleted, and with nothing for the rest, which it does not pass
// on: the batch's signature covers the whole of it.
func (f *Front) deleteSome(w http.ResponseWriter, r *http.Request) {
	var batch struct {
		Object []struct{ Key string }
	}
	if err := xml.NewDecoder(r.Body).Decode(&batch); err != nil {
		refuse(w, r, http.StatusBadRequest, "MalformedXML", err.Error())
		return
	}
	answer := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Error   []denial
	}{}
	f.mu.Lock()
	for _, o := range batch.Object {
		if d, ok := f.denied[o.Key]; ok {
			answer.Error = append(answer.Error, d)
		}
	}
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer) // a client that has gone has no use for it
}

var expiration = regexp.MustCompile(`<Expiration>[^<]*</Expiration>`)

// shorten changes when a session ends in the token service's answer.
func (f *Front) shorten(resp *http.Response) error {
	f.mu.Lock()
	life := f.sessions
	f.mu.Unlock()
	if life == 0 {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read MinIO's answer: %w", err)
	}
	body = expiration.ReplaceAll(body, []byte("<Expiration>"+time.Now().Add(life).UTC().Format(time.RFC3339)+"</Expiration>"))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
