package buckettest

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// respond sends a response as XML. A client that is gone does not need it, so errors are ignored.
func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(body)
}

// refuse responds with an error. It reads the request to its end first, as S3 does with small ones.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	const requestID = "17F3A4B5C6D7E8F9"
	_, _ = io.Copy(io.Discard, r.Body) // refused in any case
	w.Header().Set("X-Amz-Request-Id", requestID)
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	type response struct {
		XMLName       xml.Name
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}
	body := any(response{xml.Name{Local: "Error"}, code, message, requestID})
	if parse(r).operation == "AssumeRoleWithWebIdentity" {
		body = struct { // the token service wraps it
			XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Error   any
		}{Error: body}
	}
	respond(w, status, body)
}

// deleteSome responds to a batch with errors for the objects that may not be deleted. It does not pass on the rest: the
// signature covers the whole batch.
func (p *FaultProxy) deleteSome(w http.ResponseWriter, r *http.Request) {
	var batch struct {
		Object []struct{ Key string }
	}
	if err := xml.NewDecoder(r.Body).Decode(&batch); err != nil {
		refuse(w, r, http.StatusBadRequest, "MalformedXML", err.Error())
		return
	}
	response := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Error   []denial
	}{}
	p.mu.Lock()
	for _, o := range batch.Object {
		if d, ok := p.denied[o.Key]; ok {
			response.Error = append(response.Error, d)
		}
	}
	p.mu.Unlock()
	respond(w, http.StatusOK, response)
}

// list responds to ListMultipartUploads with the uploads that the proxy has seen.
func (p *FaultProxy) list(w http.ResponseWriter, r *http.Request, c call) {
	type entry struct {
		Key       string
		ID        string `xml:"UploadId"`
		Initiated string
	}
	q := r.URL.Query()
	response := struct {
		XMLName                       xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket, Prefix, NextKeyMarker string
		NextID                        string `xml:"NextUploadIdMarker"`
		MaxUploads                    int
		IsTruncated                   bool
		Upload                        []entry
	}{Bucket: c.bucket, Prefix: q.Get("prefix")}
	response.MaxUploads, _ = strconv.Atoi(q.Get("max-uploads"))
	response.MaxUploads = cmp.Or(response.MaxUploads, 1000)
	p.mu.Lock()
	uploads := slices.Clone(p.uploads)
	p.mu.Unlock()
	slices.SortFunc(uploads, func(a, b upload) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
	for _, u := range uploads {
		after := cmp.Or(cmp.Compare(u.key, q.Get("key-marker")), cmp.Compare(u.id, q.Get("upload-id-marker")))
		if u.bucket != c.bucket || !strings.HasPrefix(u.key, response.Prefix) || after <= 0 {
			continue
		}
		if len(response.Upload) == response.MaxUploads {
			response.IsTruncated = true
			break
		}
		response.Upload = append(response.Upload, entry{u.key, u.id, u.initiated.UTC().Format(time.RFC3339)})
		response.NextKeyMarker, response.NextID = u.key, u.id
	}
	respond(w, http.StatusOK, response)
}

var expiration = regexp.MustCompile(`<Expiration>[^<]*</Expiration>`)

// shorten changes the end of a session in the token service's response.
func (p *FaultProxy) shorten(resp *http.Response) error {
	p.mu.Lock()
	lifetime := p.sessions
	p.mu.Unlock()
	if lifetime == 0 {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read MinIO's response: %w", err)
	}
	end := time.Now().Add(lifetime).UTC().Format(time.RFC3339)
	body = expiration.ReplaceAll(body, []byte("<Expiration>"+end+"</Expiration>"))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
