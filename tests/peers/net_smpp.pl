# A carrier played by Perl's Net::SMPP. Takes the orders of node_smpp.js; what the gateway asks is
# answered while it waits for something itself. {"septets": "…"} are packed by the library.
use strict;
use warnings;

use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->canonical;
my ($listener, $session, @asked);

# Perl keeps texts and octets in one type: what goes to the library is octets only.
sub octets {
    my ($value) = @_;
    return $value if ref $value ne 'HASH';
    return Net::SMPP::pack_7bit(pack 'H*', $value->{septets}) if exists $value->{septets};
    return pack 'H*', $value->{hex};
}

sub told {
    my ($pdu) = @_;
    my %told = (
        command  => $pdu->explain_cmd,
        status   => $pdu->{status} + 0,
        sequence => $pdu->{seq} + 0,
    );
    for my $name (qw(system_id password message_id)) {
        $told{$name} = $pdu->{$name} if defined $pdu->{$name};
    }
    $told{interface_version} = $pdu->{interface_version} + 0 if defined $pdu->{interface_version};
    $told{sc_interface_version} = unpack 'C', $pdu->{sc_interface_version}
        if defined $pdu->{sc_interface_version};
    return \%told;
}

# The next PDU; what the gateway asks is answered. Nothing at the end of the connection.
sub next_pdu {
    my $pdu = $session->read_pdu or return;
    if (!($pdu->{cmd} & 0x80000000)) {
        my $answer = $pdu->explain_cmd . '_resp';
        my @fields = $answer =~ /^bind_/ ? (system_id => 'smsc') : ();
        $session->$answer(seq => $pdu->{seq}, @fields);
    }
    push @asked, $pdu if !($pdu->{cmd} & 0x80000000);
    return $pdu;
}

sub dial {
    my ($port) = @_;
    $session = Net::SMPP->new_connect('127.0.0.1', port => $port, async => 1)
        or die "can't connect: $!";
    return [];
}

sub listen_here {
    $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, async => 1)
        or die "can't listen: $!";
    return [{port => $listener->sockport}];
}

sub request {
    my ($command, $fields) = @_;
    # The library writes optional parameters in the order they come in, and fields in its own.
    my @fields = map { ($_, octets($fields->{$_})) } sort keys %$fields;
    return $session->$command(@fields);
}

sub send_all {
    my ($requests) = @_;
    my @sequences = map { request(@$_) } @$requests;
    my %answers;
    while (keys %answers < @sequences) {
        my $pdu = next_pdu() or die 'closed before all was answered';
        $answers{$pdu->{seq}} = told($pdu) if $pdu->{cmd} & 0x80000000;
    }
    return [map { $answers{$_} // die "no answer to $_" } @sequences];
}

sub say_only {
    my ($requests) = @_;
    request(@$_) for @$requests;
    return [];
}

sub wait_for {
    my ($command, $times) = @_;
    $session ||= $listener->accept or die "can't accept: $!";
    while (1) {
        my @found = grep { $_->{command} eq $command } map { told($_) } @asked;
        return \@found if @found >= $times;
        next_pdu() or die "closed before $command";
    }
}

sub closed {
    local $SIG{__WARN__} = sub { };    # the library calls the end of the connection premature
    1 while next_pdu();
    return [];
}

while (my $line = <STDIN>) {
    my $order = $json->decode($line);
    my $result
        = $order->{dial}   ? dial($order->{dial})
        : $order->{listen} ? listen_here()
        : $order->{send}   ? send_all($order->{send})
        : $order->{tell}   ? say_only($order->{tell})
        : $order->{await}  ? wait_for($order->{await}, $order->{times} || 1)
        :                    closed();
    print $json->encode($result), "\n";
}
