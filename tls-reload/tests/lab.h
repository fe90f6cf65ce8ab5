// What the tests have in common: certificates, folders as the kubelet makes them, a server as pgpool sets one up, and its clients.
// Everything is in one process without sockets. Each failed expectation ends the process with a message.
#pragma once
#include <openssl/ssl.h>
#include <stddef.h>

struct identity {
    EVP_PKEY *key;
    X509 *crt;
    const struct identity *issuer;
};
enum kind { EC, RSA2048, RSA512, ED25519, SHARED }; // SHARED: the key of the issuer

// The text of the file, to be freed, and what is written after it.
char *pem(const struct identity *first, ...); // certificates, up to NULL
char *pem_key(const struct identity *of, const char *passphrase);
char *pem_crl(const struct identity *ca, const struct identity *revoked);
struct identity *issue(const char *name, enum kind kind, int is_ca, const struct identity *issuer);

// Writes a folder with the files and makes it the current one of `volume`, as the kubelet does: the link `..data` is replaced by a
// rename, then the earlier folder is removed. A text that is NULL is no file.
void publish(const char *volume, const char *crt, const char *key, const char *ca, const char *crl);
void write_file(const char *path, const char *text);
char *format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Writes an openssl.cnf with the module and the settings given, and sets OPENSSL_CONF. Before the first use of OpenSSL.
void configure(const char *volume, const char *settings);

// A context as pgpool makes it: chain, key, and with `ca` trust, CA names and verification of clients, with `crl` revocation.
SSL_CTX *server(const char *crt, const char *key, const char *ca, const char *crl);

struct outcome {
    int in;           // the client was accepted: application data passed
    char leaf[64];    // common name of the server's certificate
    int chain;        // certificates that the server sent
    char names[4096]; // common names of the CAs that the server asks for, each followed by a space
};
struct client {
    const struct identity *identity; // may be NULL
    int version;                     // TLS1_2_VERSION, or 0 for the newest
    const char *algorithms;          // of signatures, or NULL
};
struct outcome dial(SSL_CTX *server, struct client client);

void expect(int truth, const char *what, const char *file, int line);
#define EXPECT(truth) expect(!!(truth), #truth, __FILE__, __LINE__)
