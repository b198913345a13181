# A carrier played by Perl's Net::SMPP. Takes the orders of node_smpp.js, except that {"dial": PORT}
# also takes "version", and that answers to what the gateway asks are given while it waits itself.
use strict;
use warnings;

use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->canonical;
my ($session, @asked);

# Perl keeps texts and octets in one type: what goes to the library is octets only.
sub octets {
    my ($value) = @_;
    return pack('H*', $value->{hex}) if ref $value eq 'HASH';
    return $value;
}

sub told {
    my ($pdu) = @_;
    my %told = (
        command  => $pdu->explain_cmd,
        status   => $pdu->{status} + 0,
        sequence => $pdu->{seq} + 0,
    );
    for my $name (qw(system_id message_id)) {
        $told{$name} = $pdu->{$name} if defined $pdu->{$name};
    }
    $told{sc_interface_version} = unpack 'C', $pdu->{sc_interface_version}
        if defined $pdu->{sc_interface_version};
    return \%told;
}

# The next PDU; what the gateway asks is answered. Nothing at the end of the connection.
sub next_pdu {
    my $pdu = $session->read_pdu or return;
    if ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
        $session->enquire_link_resp(seq => $pdu->{seq});
    } elsif ($pdu->{cmd} == Net::SMPP::CMD_unbind) {
        $session->unbind_resp(seq => $pdu->{seq});
    }
    push @asked, $pdu if !($pdu->{cmd} & 0x80000000);
    return $pdu;
}

sub dial {
    my ($order) = @_;
    my @version = $order->{version} ? (smpp_version => $order->{version}) : ();
    $session = Net::SMPP->new_connect('127.0.0.1', port => $order->{dial}, async => 1, @version)
        or die "can't connect: $!";
    return [];
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

sub wait_for {
    my ($command, $times) = @_;
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
        = $order->{dial}  ? dial($order)
        : $order->{send}  ? send_all($order->{send})
        : $order->{await} ? wait_for($order->{await}, $order->{times} || 1)
        :                   closed();
    print $json->encode($result), "\n";
}
