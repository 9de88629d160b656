/*
 * The guest's side of bench/network.ts: `network KIND PORT COUNT` talks to the server at 10.0.2.2. KIND: down and up move
 * COUNT bytes over one connection, connect opens COUNT connections one after the other, turn sends one byte there and back
 * COUNT times. All times are taken by the server.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "10.0.2.2", &to.sin_addr);
	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) != 0) {
		perror("connect");
		exit(1);
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return s;
}

static void put(int s, const char *bytes, long length)
{
	while (length > 0) {
		long done = write(s, bytes, length);
		if (done <= 0) {
			perror("write");
			exit(1);
		}
		bytes += done;
		length -= done;
	}
}

int main(int argc, char **argv)
{
	const char *kind = argc == 4 ? argv[1] : "";
	int port = argc == 4 ? atoi(argv[2]) : 0;
	long count = argc == 4 ? atol(argv[3]) : 0;
	long total = 0, got;
	char line[64];
	int s;

	if (strcmp(kind, "connect") == 0) {
		for (long i = 0; i < count; i++) {
			s = dial(port);
			put(s, "C 1\n", 4);
			while ((got = read(s, buffer, sizeof buffer)) > 0)
				total += got;
			close(s);
		}
		printf("%ld\n", total);
		return 0;
	}
	s = dial(port);
	put(s, line, snprintf(line, sizeof line, "%c %ld\n", kind[0] - 32, count));
	if (strcmp(kind, "down") == 0) {
		while ((got = read(s, buffer, sizeof buffer)) > 0)
			total += got;
	} else if (strcmp(kind, "up") == 0) {
		for (long left = count; left > 0; left -= sizeof buffer)
			put(s, buffer, left < (long)sizeof buffer ? left : (long)sizeof buffer);
		shutdown(s, SHUT_WR);
		while ((got = read(s, buffer, sizeof buffer)) > 0)
			total += got;
	} else if (strcmp(kind, "turn") == 0) {
		for (; total < count; total++) {
			put(s, "x", 1);
			if (read(s, buffer, 1) != 1)
				return 1;
		}
	}
	printf("%ld\n", total);
	return 0;
}
