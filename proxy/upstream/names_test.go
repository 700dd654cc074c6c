package upstream

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3name"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	someBucket = must(s3name.ParseBucket("bucket"))
	someKey    = must(s3name.ParseKey("k"))
)

// What a request names has types that only s3name's checks make: a field of another type
// would be a way around them.
func TestARequestNamesPlacesByCheckedTypesAlone(t *testing.T) {
	checked := map[string]reflect.Type{
		"Bucket": reflect.TypeFor[s3name.Bucket](), "Key": reflect.TypeFor[s3name.Key](), "UploadID": reflect.TypeFor[s3name.UploadID](),
		"VersionID": reflect.TypeFor[s3name.VersionID](), "Source": reflect.TypeFor[*s3name.Source](),
	}
	request := reflect.TypeFor[Request]()
	for i := range request.NumField() {
		f := request.Field(i)
		if want, ok := checked[f.Name]; ok {
			if f.Type != want {
				t.Errorf("%s is a %v", f.Name, f.Type)
			}
			delete(checked, f.Name)
		} else if f.Type.Kind() == reflect.String && f.Name != "Method" {
			t.Errorf("%s is text that may name a place", f.Name)
		}
	}
	if len(checked) > 0 {
		t.Errorf("a request has no %v", checked)
	}
	for _, name := range []reflect.Type{reflect.TypeFor[s3name.Bucket](), reflect.TypeFor[s3name.Key](), reflect.TypeFor[s3name.UploadID](), reflect.TypeFor[s3name.VersionID]()} {
		for i := range name.NumField() {
			if name.Kind() != reflect.Struct || name.Field(i).IsExported() {
				t.Errorf("%v can be made by hand", name)
			}
		}
	}
}

func TestNothingIsSentThatNamesAPlaceInAnotherWay(t *testing.T) {
	sent := 0
	store := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	defer store.Close()
	client := newClient(t, store.URL)
	upload := must(s3name.ParseUploadID("u"))
	for name, in := range map[string]*Request{
		"an upload id in the query":               {Bucket: someBucket, Key: someKey, Query: url.Values{"uploadId": {"x"}}},
		"an upload id in the query, misspelt":     {Bucket: someBucket, Key: someKey, Query: url.Values{"uploadid": {"x"}}},
		"a version id in the query":               {Bucket: someBucket, Key: someKey, Query: url.Values{"versionId": {"x"}}},
		"a copy source among the headers":         {Bucket: someBucket, Key: someKey, Header: http.Header{"X-Amz-Copy-Source": {"/other/k"}}},
		"a copy source in small letters":          {Bucket: someBucket, Key: someKey, Header: http.Header{"x-amz-copy-source": {"/other/k"}}},
		"a prefix that climbs":                    {Bucket: someBucket, Query: url.Values{"prefix": {"../other/"}}},
		"a marker that climbs":                    {Bucket: someBucket, Query: url.Values{"key-marker": {"a/../../b"}}},
		"a marker of uploads that is a path":      {Bucket: someBucket, Query: url.Values{"upload-id-marker": {"../x"}}},
		"a marker of versions that is a path":     {Bucket: someBucket, Query: url.Values{"version-id-marker": {"../x"}}},
		"a key without a bucket":                  {Key: someKey},
		"an upload without a key":                 {Bucket: someBucket, UploadID: upload},
		"a copy source of which nothing is named": {Bucket: someBucket, Key: someKey, Source: &s3name.Source{}},
	} {
		in.Method = http.MethodGet
		if resp, err := client.Do(t.Context(), in); err == nil {
			resp.Body.Close()
			t.Errorf("%s was sent", name)
		}
	}
	if sent != 0 {
		t.Errorf("%d requests reached the store", sent)
	}
}

func TestIdsAndSourcesReachTheStoreEncoded(t *testing.T) {
	var got *http.Request
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer store.Close()
	resp, err := newClient(t, store.URL).Do(t.Context(), &Request{
		Method: http.MethodPut, Bucket: someBucket, Key: someKey, UploadID: must(s3name.ParseUploadID("a+b/c=")), Query: url.Values{"partNumber": {"1"}},
		Source: &s3name.Source{Bucket: someBucket, Key: must(s3name.ParseKey("a+b?versionId=c d")), Version: must(s3name.ParseVersionID("3/L4+q"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got.URL.RawQuery != "partNumber=1&uploadId=a%2Bb%2Fc%3D" {
		t.Errorf("query %s", got.URL.RawQuery)
	}
	if source := got.Header.Get("X-Amz-Copy-Source"); source != "/bucket/a%2Bb%3FversionId=c%20d?versionId=3%2FL4%2Bq" {
		t.Errorf("source %s", source)
	}
}
